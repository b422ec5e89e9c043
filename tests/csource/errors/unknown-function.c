/* A function that the kernel has and the model does not. */
if (exclusive)
	pte = pte_mkwrit(pte, vma);
