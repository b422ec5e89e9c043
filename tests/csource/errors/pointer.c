if (userfaultfd_pte_wp(vma, *vmf->pte))
	pte = pte_wrprotect(pte);
