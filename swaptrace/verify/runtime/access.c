/* Accesses. */

static void on_fault(int signal UNUSED)
{
	siglongjmp(escape, 1);
}

/* MT19937 and the Fisher-Yates shuffle as numpy.random.RandomState(seed).permutation(count). */

static uint32_t mt[624];
static int mt_used;

static uint32_t random_bits(void)
{
	uint32_t y;

	if (mt_used == 624) {
		for (int i = 0; i < 624; i++) {
			y = (mt[i] & 0x80000000U) | (mt[(i + 1) % 624] & 0x7fffffffU);
			mt[i] = mt[(i + 397) % 624] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfU : 0);
		}
		mt_used = 0;
	}
	y = mt[mt_used++];
	y ^= y >> 11;
	y ^= (y << 7) & 0x9d2c5680U;
	y ^= (y << 15) & 0xefc60000U;
	return y ^ (y >> 18);
}

static void shuffle(size_t count, uint32_t seed)
{
	for (int i = 0; i < 624; i++) {
		mt[i] = seed;
		seed = 1812433253U * (seed ^ (seed >> 30)) + i + 1;
	}
	mt_used = 624;
	for (size_t i = 0; i < count; i++)
		shuffled[i] = i;
	for (size_t i = count; i-- > 1;) {
		uint32_t mask = i, pick, other;

		for (int bits = 1; bits < 32; bits *= 2)
			mask |= mask >> bits;
		do
			pick = random_bits() & mask;
		while (pick > i);
		other = shuffled[pick];
		shuffled[pick] = shuffled[i];
		shuffled[i] = other;
	}
}

enum kind { READ, WRITE, READ_WRITE };

static void touch(enum kind kind, volatile char *byte, int value)
{
	static char *last;
	char *page = (char *)((uintptr_t)byte & -page_size);

	if (page != last || WAITS_FOR_IO)
		settle();
	last = page;
	if (value == FRESH)
		value = 1 + (steps * 31 + (uintptr_t)page / page_size) % 255;
	if (kind == READ)
		(void)*byte;
	else if (kind == WRITE)
		*byte = (char)value;
	else
		*byte = *byte;
}

static __attribute__((noinline)) void walk(enum kind kind, char *start, size_t length,
					    size_t stride, long long order, int value)
{
	size_t count = (length + stride - 1) / stride;

	if (order >= 0 && stride < page_size) {	/* the pages in random order, each once */
		char *last = start + (count - 1) * stride;

		start = (char *)((uintptr_t)start & -page_size);
		stride = page_size;
		count = (last - start) / page_size + 1;
	}
	if (order >= 0)
		shuffle(count, order);
	for (size_t i = 0; i < count; i++) {
		size_t index = order == FORWARD ? i : order == BACKWARD ? count - 1 - i : shuffled[i];

		touch(kind, start + index * stride, value);
	}
}

static void access_each(enum kind kind, char *start, size_t length, size_t stride,
			long long order, int value)
{
	if (sigsetjmp(escape, 1))
		note.sigsegv = 1;
	else
		walk(kind, start, length, stride, order, value);
	settle();
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

		settle();
		memset(start, byte, length);
		start += length;
	}
}

static void fill(int region, size_t offset, size_t length, int byte)
{
	if (sigsetjmp(escape, 1))
		note.sigsegv = 1;
	else
		fill_pages(at(region, offset), at(region, offset) + length, byte);
	settle();
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

static void map(int region, size_t size, int prot, unsigned long at)
{
	struct region *mapped = &shared->regions[me][region];
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	char *start;

	mapped->start = NULL;		/* the name may have been used before */
	start = at == ANYWHERE ? first_fit(size) : (char *)BASE + at;
	if (mmap(start, size, prot, flags, -1, 0) != start)
		fail("cannot map a region: ");
	*mapped = (struct region){start, size};
}

static void call(int result)
{
	if (result)
		note.error = errno;
	settle();
}
