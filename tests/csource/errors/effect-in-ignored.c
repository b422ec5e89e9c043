VM_BUG_ON(!folio_free_swap(folio));
