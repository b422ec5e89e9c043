static bool wp_can_reuse_anon_folio(struct folio *folio, struct vm_area_struct *vma)
{
	if (folio_ref_count(folio) == 1)
		return true;
}
