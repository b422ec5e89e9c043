if (flush_icache_page(vma, page))
	pte = pte_mkdirty(pte);
