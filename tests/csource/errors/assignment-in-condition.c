if ((exclusive = pte_swp_exclusive(vmf->orig_pte)))
	rmap_flags |= RMAP_EXCLUSIVE;
