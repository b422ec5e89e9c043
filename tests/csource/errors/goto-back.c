again:
	pte = pte_mkdirty(pte);
	if (!pte_dirty(pte))
		goto again;
