vma->vm_flags |= VM_WRITE;
