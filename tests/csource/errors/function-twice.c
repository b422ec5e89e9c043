static bool can_reuse_anon(struct folio *folio)
{
	return true;
}

static bool wp_can_reuse_anon_folio(struct folio *folio)
{
	return false;
}
