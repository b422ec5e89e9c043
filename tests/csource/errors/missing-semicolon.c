pte = pte_mkdirty(pte)
rmap_flags |= RMAP_EXCLUSIVE;
