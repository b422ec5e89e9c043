switch (nr_pages) {
case 1:
	pte = pte_mkdirty(pte);
}
