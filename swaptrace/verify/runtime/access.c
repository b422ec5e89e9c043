/* Accesses. */

static int ended_by;			/* the signal */

static void on_fault(int signal)
{
	ended_by = signal;
	siglongjmp(escape, 1);
}

/* What is written is noted where a check asks what the data are. */

static struct datum *datum(int process, int region, size_t page)
{
	struct region r = shared->regions[process][region];

	if (r.file && r.shared)
		return &shared->in_file[r.file - 1][(r.offset / page_size + page) % DATA_PAGES];
	return &shared->data[process][region][page % DATA_PAGES];
}

static void wrote(const char *byte, int value)
{
	for (int i = 0; DATA_PAGES > 1 && i < REGIONS; i++) {
		struct region r = shared->regions[me][i];
		size_t offset = byte - r.start;

		if (!r.start || byte < r.start || offset >= r.size)
			continue;
		for (int p = 0; p < PROCESSES; p++)
			if (p == me || (r.shared && !r.file))
				*datum(p, i, offset / page_size) =
					(struct datum){offset % page_size, value, false};
	}
}

/* After advice on a range that gives its pages up, or may do so later. */

static void give_up(int region, size_t offset, size_t length, bool later)
{
	size_t end = (offset + length + page_size - 1) / page_size;

	for (size_t i = offset / page_size; DATA_PAGES > 1 && i < end; i++) {
		struct datum *page = datum(me, region, i);

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
			datum(p, region, i)->value = 0;
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
