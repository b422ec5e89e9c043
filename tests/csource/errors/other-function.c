static bool can_reuse_anon_folio(struct folio *folio)
{
	return folio_ref_count(folio) == 1;
}
