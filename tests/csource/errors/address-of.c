pte_t *mine = &pte;
