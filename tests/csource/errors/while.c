if (exclusive) {
	while (!pte_dirty(pte))
		pte = pte_mkdirty(pte);
}
