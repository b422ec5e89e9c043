"""The replay of large folios: pages in blocks, a page table each."""
