if exclusive
	pte = pte_mkdirty(pte);
