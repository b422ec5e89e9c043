/* A call that stands somewhere else in the kernel, with a name that is much like another one. */
if (exclusive)
	pte = pte_mkwrite(pte, vma);
if (should_try_to_free_swap(folio, vma, vmf->flags))
	pte = pte_wrprotect(pte);
