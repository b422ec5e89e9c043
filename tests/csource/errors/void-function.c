static void wp_can_reuse_anon_folio(struct folio *folio)
{
	folio_unlock(folio);
}
