/* Accesses. */

static int ended_by;			/* the signal */

static void on_fault(int signal)
{
	ended_by = signal;
	siglongjmp(escape, 1);
}

/* What is written is noted where a check asks what the data are. */

static void wrote(const char *byte, int value)
{
	for (int i = 0; DATA_PAGES > 1 && i < REGIONS; i++) {
		struct region r = shared->regions[me][i];
		size_t offset = byte - r.start;

		if (!r.start || byte < r.start || offset >= r.size)
			continue;
		for (int p = 0; p < PROCESSES; p++)
			if (p == me || r.shared)
				shared->data[p][i][offset / page_size % DATA_PAGES] =
					(struct datum){offset % page_size, value, false};
	}
}

/* After advice on a range that gives its pages up, or may do so later. */

static void give_up(int region, size_t offset, size_t length, bool later)
{
	size_t end = (offset + length + page_size - 1) / page_size;

	for (size_t i = offset / page_size; DATA_PAGES > 1 && i < end; i++) {
		struct datum *page = &shared->data[me][region][i % DATA_PAGES];

		page->freed = later;
		if (!later)
			page->value = 0;
	}
}

/* Shared memory stays what it is. */
static void now_zero(int region, size_t offset, size_t length)
{
	if (!shared->regions[me][region].shared)
		give_up(region, offset, length, false);
}

static void maybe_zero(int region, size_t offset, size_t length)
{
	give_up(region, offset, length, true);
}

/* For all processes: this is shared memory, or was refused. */
static void removed(int region, size_t offset, size_t length)
{
	size_t end = (offset + length + page_size - 1) / page_size;

	if (note.error)
		return;
	for (int p = 0; p < PROCESSES; p++)
		for (size_t i = offset / page_size; DATA_PAGES > 1 && i < end; i++)
			shared->data[p][region][i % DATA_PAGES].value = 0;
}

/* A signal has ended the step; the access was one. */
static void signalled(void)
{
	*(ended_by == SIGBUS ? &note.sigbus : &note.sigsegv) = 1;
	tick();
}

static char *page_of(char *byte)
{
	return (char *)((uintptr_t)byte & -page_size);
}

enum kind { READ, WRITE, READ_WRITE };

static void touch(enum kind kind, volatile char *byte, int value)
{
	static char *last;
	char *page = page_of((char *)byte);

	if (page != last || WAITS_FOR_IO)
		quiet();
	last = page;
	if (value == FRESH)
		value = 1 + (steps * 31 + (uintptr_t)page / page_size) % 255;
	if (kind == READ)
		(void)*byte;
	else if (kind == WRITE) {
		*byte = (char)value;
		wrote((char *)byte, (uint8_t)value);
	}
	else
		*byte = *byte;
}

static __attribute__((noinline)) void walk(enum kind kind, char *start, size_t length,
					    size_t stride, long long order, int value)
{
	size_t count = (length + stride - 1) / stride;
	char *last = NULL;

	if (order >= 0 && stride < page_size) {	/* the pages in random order, each once */
		char *final = start + (count - 1) * stride;

		start = page_of(start);
		stride = page_size;
		count = (final - start) / page_size + 1;
	}
	if (order >= 0)
		shuffle(count, order);
	for (size_t i = 0; i < count; i++) {
		size_t index = order == FORWARD ? i : order == BACKWARD ? count - 1 - i : shuffled[i];
		char *byte = start + index * stride;

		if (i && page_of(byte) != last)
			tick();		/* the accesses to one page in a row are one */
		last = page_of(byte);
		touch(kind, byte, value);
	}
	tick();
}

static void access_each(enum kind kind, char *start, size_t length, size_t stride,
			long long order, int value)
{
	if (sigsetjmp(escape, 1))
		signalled();
	else
		walk(kind, start, length, stride, order, value);
	quiet();
}

static void read_each(int region, size_t offset, size_t length, size_t stride, long long order)
{
	access_each(READ, at(region, offset), length, stride, order, 0);
}

static void write_each(int region, size_t offset, size_t length, size_t stride, long long order,
		       int byte)
{
	access_each(WRITE, at(region, offset), length, stride, order, byte);
}

static void read_write_each(int region, size_t offset, size_t length, size_t stride,
			    long long order)
{
	access_each(READ_WRITE, at(region, offset), length, stride, order, 0);
}

static __attribute__((noinline)) void fill_pages(char *start, char *limit, int byte)
{
	while (start < limit) {
		char *next = (char *)(((uintptr_t)start & -page_size) + page_size);
		size_t length = (next < limit ? next : limit) - start;

		quiet();
		memset(start, byte, length);
		wrote(start, byte);
		tick();
		start += length;
	}
}

static void fill(int region, size_t offset, size_t length, int byte)
{
	if (sigsetjmp(escape, 1))
		signalled();
	else
		fill_pages(at(region, offset), at(region, offset) + length, byte);
	quiet();
}

/* Accesses by a pattern, and those of a trace. */

static size_t chosen(const struct pattern *of, uint64_t drawn, uint64_t number, size_t pages)
{
	switch (of->kind) {
	case SEQUENTIAL:
		return number % pages;
	case UNIFORM:
		return below(drawn, pages);
	case ZIPF:
		return shuffled[ranked(drawn, pages)];
	case HOT:
		if (draw(of->seed, HOT_STREAM, number) >> 32 < of->hot_below)
			return shuffled[below(drawn, of->hot_pages)];
		return shuffled[of->hot_pages + below(drawn, pages - of->hot_pages)];
	}
	return 0;
}

static void prepare(const struct pattern *of, size_t pages)
{
	if (of->kind == ZIPF)
		weigh(pages, of->exponent);
	if (of->kind == ZIPF || of->kind == HOT)
		shuffle(pages, of->seed);
}

static __attribute__((noinline)) void walk_pattern(char *start, size_t pages,
						    const struct pattern *of)
{
	for (uint64_t i = 0; i < of->count; i++) {
		uint64_t drawn = draw(of->seed, ACCESS_STREAM, i);
		enum kind kind = (drawn & 0xffffffffU) < of->writes_below ? WRITE : READ;

		touch(kind, start + chosen(of, drawn, i, pages) * page_size, FRESH);
		tick();
	}
}

static void access_pages(int region, size_t offset, size_t length, struct pattern of)
{
	size_t first = offset / page_size;
	size_t pages = (offset + length + page_size - 1) / page_size - first;

	prepare(&of, pages);
	if (sigsetjmp(escape, 1))
		signalled();
	else
		walk_pattern(at(region, first * page_size), pages, &of);
	quiet();
}

static __attribute__((noinline)) void walk_trace(const struct record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct record r = records[i];

		if (r.page >= shared->regions[me][r.region].size / page_size)
			on_fault(SIGSEGV);	/* for what lies behind a region is not its own */
		touch(r.write ? WRITE : READ, at(r.region, r.page * page_size), FRESH);
		tick();
	}
}

static void replay_trace(const struct record *records, size_t count)
{
	if (sigsetjmp(escape, 1))
		signalled();
	else
		walk_trace(records, count);
	quiet();
}

/* Regions. */

static char *at(int region, size_t offset)
{
	return shared->regions[me][region].start + offset;
}

/* The lowest aligned address with a page free on either side. */
static char *first_fit(size_t size)
{
	char *start = (char *)BASE + ALIGNMENT;

	for (bool moved = true; moved;) {
		moved = false;
		for (int i = 0; i < REGIONS; i++) {
			struct region r = shared->regions[me][i];
			char *limit = r.start + r.size + page_size;

			if (!r.start || start >= limit || start + size + page_size <= r.start)
				continue;
			start = (char *)(((uintptr_t)limit + ALIGNMENT - 1) & -ALIGNMENT);
			moved = true;
		}
	}
	return start;
}

/*
 * Where an address of the scenario is here: each has a place of its own, and neighbours stay
 * neighbours. What would lie beyond the end of the address space comes at its beginning.
 */
static char *moved(unsigned long at)
{
	return (char *)((BASE + at) % END);
}

static int mapped_file = -1;		/* where it is not anonymous memory */

static bool map_at(char *start, size_t size, int prot, int flags)
{
	errno = EPERM;			/* root may map there, but a region at 0 is none */
	flags |= flags & MAP_SHARED ? 0 : MAP_PRIVATE;
	flags |= mapped_file < 0 ? MAP_ANONYMOUS : 0;
	return start >= (char *)LOWEST &&
		mmap(start, size, LIMIT ? prot | PROT_READ : prot, flags, mapped_file, 0) == start;
}

/* What a system call may be told to fail with, and what a place that is taken does not give. */
static bool refused(int flags)
{
	return errno == EAGAIN || errno == EPERM || errno == EINVAL ||
	       (errno == ENOMEM && flags & MAP_HUGETLB);
}

static void map_over(int region, size_t offset, size_t size, int prot, int flags)
{
	char *start = at(region, offset);

	if (!map_at(start, size, prot, flags))
		note.error = errno;
	else {
		now_zero(region, offset, size);
		advise_region(start, size);
		prepare_region(start, size, prot);
	}
}

static void map(int region, size_t size, int prot, int flags, unsigned long where)
{
	struct region *mapped = &shared->regions[me][region], old = *mapped;
	char *start;

	if (where & OVER) {
		map_over(region, where & ~OVER, size, prot, flags);
		return;
	}
	mapped->start = NULL;		/* the name may have been used before */
	start = where == ANYWHERE ? first_fit(size) : moved(where);
	if (map_at(start, size, prot, (flags & ~MAP_FIXED) | MAP_FIXED_NOREPLACE)) {
		memset(shared->data[me][region], 0, sizeof(shared->data[me][region]));
		*mapped = (struct region){start, size, false, 0, flags & MAP_SHARED};
		advise_region(start, size);
		prepare_region(start, size, prot);
		return;
	}
	note.error = errno;
	if (start >= (char *)LOWEST && refused(flags)) {
		*mapped = old;
		return;
	}
	note.unmapped = 1 + region;
	note.address = (uintptr_t)start;
}

/* Where the kernel would choose another place than the scenario's, it is told that. */
static char *remapped(struct region old, size_t size, int flags, unsigned long to)
{
	char *start;

	if (to != ANYWHERE)
		return mremap(old.start, old.size, size, flags, moved(to));
	if (!(flags & MREMAP_DONTUNMAP)) {
		start = mremap(old.start, old.size, size, flags & ~MREMAP_MAYMOVE);
		if (start != MAP_FAILED || errno != ENOMEM || !(flags & MREMAP_MAYMOVE))
			return start;
	}
	if (!(flags & MREMAP_MAYMOVE))
		return mremap(old.start, old.size, size, flags);
	return mremap(old.start, old.size, size, flags | MREMAP_FIXED, first_fit(size));
}

static int remap(int region, size_t size, int flags, unsigned long to, int as)
{
	struct region *regions = shared->regions[me], old = regions[region];
	char *start = remapped(old, size, flags, to);

	if (start == MAP_FAILED)
		return -1;
	if (as != region) {
		memcpy(shared->data[me][as], shared->data[me][region], sizeof(shared->data[me][as]));
		now_zero(region, 0, old.size);
	}
	if (size > old.size)
		now_zero(as, old.size, size - old.size);
	regions[as].start = start;
	regions[as].size = size;
	if (start != old.start)
		regions[as].registered = false;
	return 0;
}

/* A new file of tmpfs, which lives as long as its mappings. */
static void map_file(int region, size_t size, int prot, int flags, unsigned long where,
		     const char *name, size_t length)
{
	mapped_file = memfd_create(name, MFD_CLOEXEC | (flags & MAP_HUGETLB ? MFD_HUGETLB : 0));
	if (mapped_file < 0 || ftruncate(mapped_file, length))
		fail("cannot make a file: ");
	map(region, size, prot, flags, where);
	close(mapped_file);
	mapped_file = -1;
}

static void call(int result)
{
	if (result)
		note.error = errno;
	quiet();
}
