if (pte_swp_soft_dirty(pte))
	pte = pte_mksoft_dirty(pte);
