vmf->orig_pte = pte;
if (pte_swp_uffd_wp(vmf->orig_pte))
	pte = pte_mkuffd_wp(pte);
