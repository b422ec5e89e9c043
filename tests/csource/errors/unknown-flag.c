if (vma->vm_flags & VM_WRITABLE)
	rmap_flags |= RMAP_EXCLUSIVE;
