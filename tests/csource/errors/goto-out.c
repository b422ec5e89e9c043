if (!exclusive)
	goto out_page;
pte = pte_mkdirty(pte);
