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

/* All of the process, but for what settle() needs not to be locked. */
static int lock_all(int flags)
{
	int result = mlockall(flags);
	int error = errno;

	munlock(idle, page_size);
	errno = error;
	return result;
}

/*
 * userfaultfd: the handler un-protects the page that faulted, which wakes who touched it.
 * Read-write protection is of Linux 7.3, and in few headers.
 */

#define REGISTER_MODE_RWP (1ULL << 3)
#define FEATURE_RWP (1ULL << 17)
#define FAULT_FLAG_RWP (1ULL << 3)
#define RWPROTECT _IOWR(UFFDIO, 0x09, struct uffdio_writeprotect)

static void *handler(void *arg)
{
	struct uffd_msg message;

	while (read(uffd, &message, sizeof(message)) == sizeof(message)) {
		struct uffdio_writeprotect page = {
			{message.arg.pagefault.address & -page_size, page_size}, 0};

		bool rwp = message.arg.pagefault.flags & FAULT_FLAG_RWP;

		if (message.event != UFFD_EVENT_PAGEFAULT)
			continue;
		__atomic_add_fetch(rwp ? &rwp_events : &events, 1, __ATOMIC_SEQ_CST);
		while (ioctl(uffd, rwp ? RWPROTECT : UFFDIO_WRITEPROTECT, &page) && errno == EAGAIN)
			;
	}
	return arg;
}

static bool open_uffd_with(unsigned long long features)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};

	if (uffd >= 0)
		close(uffd);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	return uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api);
}

/* Whether there is a userfaultfd for write-protection; otherwise errno says why not. */
static bool open_uffd(void)
{
	return (NEEDS_RWP && open_uffd_with(UFFD_FEATURE_PAGEFAULT_FLAG_WP | FEATURE_RWP)) ||
	       open_uffd_with(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
}

static void start_handler(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	events = rwp_events = 0;
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, handler_stack, sizeof(handler_stack));
	if (!open_uffd() || pthread_create(&thread, &attributes, handler, NULL))
		fail("no userfaultfd: ");
}

/* The first use registers the whole region. The bit of the mode is the same for both. */
static int uffd_protect(int region, size_t offset, size_t length, bool protect, bool rwp)
{
	struct region *whole = &shared->regions[me][region];
	struct uffdio_register registration = {
		{(uintptr_t)whole->start, whole->size},
		rwp ? REGISTER_MODE_RWP : UFFDIO_REGISTER_MODE_WP, 0};
	struct uffdio_writeprotect range = {
		{(uintptr_t)at(region, offset), length},
		protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0};

	if (!whole->registered && ioctl(uffd, UFFDIO_REGISTER, &registration))
		return -1;
	whole->registered = true;
	return ioctl(uffd, rwp ? RWPROTECT : UFFDIO_WRITEPROTECT, &range);
}

static int uffd_writeprotect(int region, size_t offset, size_t length, bool protect)
{
	return uffd_protect(region, offset, length, protect, false);
}

static int uffd_rwprotect(int region, size_t offset, size_t length, bool protect)
{
	return uffd_protect(region, offset, length, protect, true);
}
