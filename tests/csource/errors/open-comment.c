pte = pte_mkdirty(pte);
/* and so on
