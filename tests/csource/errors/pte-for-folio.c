if (folio_ref_count(pte) == 1)
	rmap_flags |= RMAP_EXCLUSIVE;
