struct mm_struct *mm = vma->vm_mm;
