if (vmf->flag & FAULT_FLAG_WRITE)
	pte = pte_mkdirty(pte);
