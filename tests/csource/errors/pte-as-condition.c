if (pte)
	rmap_flags |= RMAP_EXCLUSIVE;
