if (vma->vm_flags & FAULT_FLAG_WRITE)
	pte = pte_mkdirty(pte);
