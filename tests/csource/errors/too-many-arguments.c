pte = pte_mkdirty(pte, vma);
