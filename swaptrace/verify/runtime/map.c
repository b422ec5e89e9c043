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
static size_t mapped_from;		/* which byte of the file the mapping begins with */

static bool map_at(char *start, size_t size, int prot, int flags)
{
	errno = EPERM;			/* root may map there, but a region at 0 is none */
	flags |= flags & MAP_SHARED ? 0 : MAP_PRIVATE;
	flags |= mapped_file < 0 ? MAP_ANONYMOUS : 0;
	return start >= (char *)LOWEST &&
		mmap(start, size, LIMIT ? prot | PROT_READ : prot, flags, mapped_file,
		     mapped_from) == start;
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
		*mapped = (struct region){.start = start, .size = size, .shared = flags & MAP_SHARED};
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
	regions[as] = old;
	regions[as].start = start;
	regions[as].size = size;
	if (start != old.start)
		regions[as].registered = false;
	return 0;
}

/* A file has `length` bytes when it is first mapped. One of hugetlbfs lives as long as its mapping,
 * one of tmpfs as long as the program. */
static void map_file(int region, size_t size, int prot, int flags, unsigned long where, int file,
		     size_t offset, size_t length)
{
	bool huge = flags & MAP_HUGETLB;

	mapped_file = huge ? memfd_create(file_names[file], MFD_CLOEXEC | MFD_HUGETLB) : files[file];
	mapped_from = offset;
	if (mapped_file < 0 || (!shared->made[file] && ftruncate(mapped_file, length)))
		fail("cannot make a file: ");
	map(region, size, prot, flags, where);
	if (huge)
		close(mapped_file);
	else if (!note.error && !note.unmapped) {
		shared->made[file] = true;
		shared->regions[me][region].file = 1 + file;
		shared->regions[me][region].offset = offset;
	}
	mapped_file = -1;
	mapped_from = 0;
}

static void open_files(void)
{
	for (int i = 0; i < FILES; i++) {
		files[i] = *file_names[i] ? memfd_create(file_names[i], MFD_CLOEXEC) : -1;
		if (*file_names[i] && files[i] < 0)
			fail("cannot make a file: ");
	}
}

static void call(int result)
{
	if (result)
		note.error = errno;
	quiet();
}
