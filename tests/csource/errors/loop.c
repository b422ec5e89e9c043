for (int i = 0; i < nr_pages; i++)
	pte = pte_mkdirty(pte);
