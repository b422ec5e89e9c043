pte |= VM_WRITE;
