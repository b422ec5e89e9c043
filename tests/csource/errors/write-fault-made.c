vmf->flags |= FAULT_FLAG_WRITE;
