VM_BUG_ON(pte = pte_mkdirty(pte));
