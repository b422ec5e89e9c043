/* Scans of page maps (PAGEMAP_SCAN), which are newer than most headers. */

#define SCAN_CALL _IOWR('f', 16, struct scan_arg)

static int pagemap_scan(int region, size_t offset, size_t length, struct scan_arg scan)
{
	struct scan *found = &shared->scans[me];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), result, error;

	if (fd < 0)
		fail("cannot open pagemap: ");
	scan.size = sizeof(scan);
	scan.start = (uintptr_t)at(region, offset);
	scan.end = scan.start + length;
	scan.vec = scan.vec ? (uintptr_t)found->regions : 0;
	result = ioctl(fd, SCAN_CALL, &scan);
	error = errno;
	close(fd);
	found->count = result;
	found->start = scan.start;
	found->length = length;
	found->walk_end = scan.walk_end;
	note.scanned = result >= 0;
	errno = error;
	return result < 0 ? -1 : 0;
}

/* mincore(), whose answer is kept as that of a scan: what is in memory is present. */
static int in_memory(int region, size_t offset, size_t length, bool buffer)
{
	static unsigned char there[SCANNED_PAGES + 1];
	struct scan *found = &shared->scans[me];
	size_t pages = (length + page_size - 1) / page_size;
	uint64_t start = (uintptr_t)at(region, offset);

	found->start = start;
	found->length = pages * page_size;
	found->walk_end = start + found->length;
	found->count = -1;
	memset(there, 0, sizeof(there));	/* the buffer is there before the kernel writes it */
	if (mincore((void *)start, length, buffer ? there : NULL))
		return -1;
	found->count = 0;
	for (size_t i = 0; i < pages; i++, start += page_size) {
		if (!(there[i] & 1))
			continue;
		if (!i || !(there[i - 1] & 1))
			found->regions[found->count++] =
				(struct page_region){start, start, 8 /* PAGE_IS_PRESENT */};
		found->regions[found->count - 1].end = start + page_size;
	}
	note.scanned = true;
	return 0;
}

static void write_run(FILE *out, unsigned long length, const char *flags, bool first)
{
	if (length)
		fprintf(out, "%s%lu%s", first ? "" : ",", length / page_size, flags);
}

/* The pages of the range: how many, then their categories. */
static void write_scanned(FILE *out, const struct scan *found)
{
	static const char letters[] = "AWFPSZHD";
	uint64_t at = found->start, end = found->start + found->length;

	for (int i = 0; i < found->count; i++) {
		struct page_region r = found->regions[i];
		char flags[sizeof(letters)] = "", *next = flags;

		for (int bit = 0; letters[bit]; bit++)
			if (r.categories >> bit & 1)
				*next++ = letters[bit];
		write_run(out, r.start - at, "-", at == found->start);
		write_run(out, r.end - r.start, *flags ? flags : ".", r.start == found->start);
		at = r.end;
	}
	write_run(out, end - at, "-", at == found->start);
}

static char *scanned_pages(const struct scan *found)
{
	size_t length;
	char *code;
	FILE *out = open_memstream(&code, &length);

	write_scanned(out, found);
	fclose(out);
	return code;
}

static void print_scan(int process)
{
	const struct scan *found = &shared->scans[process];
	char *pages = scanned_pages(found);

	printf("\"scan\":\"regions %d, walk_end %lu, pages %s\",", found->count,
	       (unsigned long)(found->walk_end - found->start), pages);
	free(pages);
}
