#ifdef CONFIG_KSM
pte = pte_mkdirty(pte);
