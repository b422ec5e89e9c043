/* A process's own memory. */

static void learn_mappings(void)
{
	char *save = NULL, write;
	unsigned long start, limit;

	read_path("/proc/self/maps");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%lx-%lx r%c", &start, &limit, &write) != 3)
			continue;
		if (mapping_count == MAX_MAPPINGS)
			fail("too many mappings: ");
		mappings[mapping_count++] =
			(struct mapping){(char *)start, limit - start, write == 'w'};
	}
}

/*
 * A fault in the kernel that reuses a page makes its PTE writable without a flush: where the TLB still
 * has the old entry, the next write would fault once more, spuriously, and be counted.
 */
static void flush_tlb(void)
{
	mprotect(flipped, FLIPPED * page_size, PROT_NONE);
	mprotect(flipped, FLIPPED * page_size, PROT_READ | PROT_WRITE);
}

static void touch_own_memory(void)
{
	for (int i = 0; i < mapping_count; i++)
		madvise(mappings[i].start, mappings[i].size,
			mappings[i].writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
}

static void grow_stack(void)
{
	volatile char below[STACK];

	for (size_t i = 0; i < sizeof(below); i += 4 * KiB)
		below[i] = 1;
}
