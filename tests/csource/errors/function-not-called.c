if (folio_test_ksm)
	pte = pte_mkdirty(pte);
