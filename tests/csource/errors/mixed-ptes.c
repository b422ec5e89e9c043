pte_t one = pte;

if (exclusive)
	one = vmf->orig_pte;
pte = pte_mkdirty(one);
