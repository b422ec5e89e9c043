if (exclusve || folio_ref_count(folio) == 1)
	rmap_flags |= RMAP_EXCLUSIVE;
