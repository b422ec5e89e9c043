/*
 * userfaultfd. A process has one for each way in which the scenario uses them. Its handler takes the
 * protection away from a page that faulted, or copies a page to where none was, which wakes the
 * process. Of a fork it gets the child's userfaultfd, which the child then fetches. Read-write
 * protection is of Linux 7.3, and in few headers.
 */
#define REGISTER_MODE_RWP (1ULL << 3)
#define FEATURE_RWP (1ULL << 17)
#define FAULT_FLAG_RWP (1ULL << 3)
#define RWPROTECT _IOWR(UFFDIO, 0x09, struct uffdio_writeprotect)

static int uffds[CONTEXTS];
static char handler_stack[STACK] __attribute__((aligned(65536)));
static char given[64 * KiB] __attribute__((aligned(65536)));	/* a page for one that is missing */
static char copied[MOST_COPIED] __attribute__((aligned(65536)));
static pthread_mutex_t answering;
static int forking;			/* the child of a fork under way */

static void count_event(int which)
{
	__atomic_add_fetch(&events[which], 1, __ATOMIC_SEQ_CST);
}

static void unprotect(int fd, unsigned long address, bool rwp)
{
	struct uffdio_writeprotect page = {{address, page_size}, 0};

	count_event(rwp ? READ_PROTECTED : PROTECTED);
	while (ioctl(fd, rwp ? RWPROTECT : UFFDIO_WRITEPROTECT, &page) && errno == EAGAIN)
		;
}

static void give(int fd, unsigned long address, int byte)
{
	struct uffdio_copy page = {address, (uintptr_t)given, page_size, 0, 0};

	count_event(MISSING);
	memset(given, byte, page_size);
	wrote((char *)address, byte);
	while (ioctl(fd, UFFDIO_COPY, &page) && errno == EAGAIN)
		;
}

static void answer(int context)
{
	struct uffd_msg message;
	unsigned long address;

	if (read(uffds[context], &message, sizeof(message)) != sizeof(message))
		return;
	address = message.arg.pagefault.address & -page_size;
	if (message.event == UFFD_EVENT_FORK)
		shared->inherited[forking][context] = message.arg.fork.ufd + 1;
	else if (message.arg.pagefault.flags & (UFFD_PAGEFAULT_FLAG_WP | FAULT_FLAG_RWP))
		unprotect(uffds[context], address, message.arg.pagefault.flags & FAULT_FLAG_RWP);
	else
		give(uffds[context], address, contexts[context].fill);
}

static void *handler(void *arg)
{
	struct pollfd wanted[CONTEXTS];

	for (int i = 0; i < CONTEXTS; i++)
		wanted[i] = (struct pollfd){uffds[i], POLLIN, 0};
	while (poll(wanted, CONTEXTS, -1) >= 0 || errno == EINTR) {
		pthread_mutex_lock(&answering);
		for (int i = 0; i < CONTEXTS; i++)
			if (wanted[i].revents)
				answer(i);
		pthread_mutex_unlock(&answering);
	}
	return arg;
}

static void close_uffds(void)
{
	for (int i = 0; i < CONTEXTS; i++)
		if (uffds[i])
			close(uffds[i]);
	memset(uffds, 0, sizeof(uffds));
}

static int open_uffd(uint64_t features)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), error;

	if (fd >= 0 && !ioctl(fd, UFFDIO_API, &api))
		return fd;
	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

/* One for read-write protection is so where there is that; elsewhere it is refused later. */
static int open_context(int context)
{
	int fd = NEEDS_RWP ? open_uffd(contexts[context].features | FEATURE_RWP) : -1;

	return fd < 0 ? open_uffd(contexts[context].features) : fd;
}

/* Whether there are such userfaultfds; otherwise errno says why not. */
static bool has_uffd(uint64_t features)
{
	int fd = open_uffd(features);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool has_all_uffds(void)
{
	for (int i = 0; i < CONTEXTS; i++)
		if (!has_uffd(contexts[i].features))
			return false;
	return true;
}

/* The child's one of a context: the parent has got it, or it is new. */
static int uffd_of(int context, int parent)
{
	int theirs = shared->inherited[me][context], fd;

	fd = theirs ? syscall(SYS_pidfd_getfd, parent, theirs - 1, 0) :
		open_context(context);
	if (fd < 0)
		fail("no userfaultfd: ");
	return fd;
}

/* Whether a child's regions stay registered with a context. */
static bool inherits(int context)
{
	return contexts[context].features & UFFD_FEATURE_EVENT_FORK;
}

/* Of a child of main's or its own: the parent hands over what the child inherits. */
static void get_uffds(void)
{
	int parent = syscall(SYS_pidfd_open, getppid(), 0);

	close_uffds();
	while (me && __atomic_load_n(&shared->fetch[me], __ATOMIC_SEQ_CST) != READY)
		usleep(50);
	for (int i = 0; i < CONTEXTS; i++)
		uffds[i] = uffd_of(i, parent);
	close(parent);
	__atomic_store_n(&shared->fetch[me], FETCHED, __ATOMIC_SEQ_CST);
}

static void start_handler(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	get_uffds();
	memset((void *)events, 0, sizeof(events));
	pthread_mutex_init(&answering, NULL);
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, handler_stack, sizeof(handler_stack));
	if (pthread_create(&thread, &attributes, handler, NULL))
		fail("no thread for userfaultfd: ");
}

static void announce_fork(int child)
{
	forking = child;
	memset(shared->inherited[child], 0, sizeof(shared->inherited[child]));
	shared->fetch[child] = NOT_YET;
}

/* The parent after a fork: the handler has read all that the kernel had to say of it. */
static void hand_over(int child)
{
	pthread_mutex_lock(&answering);
	pthread_mutex_unlock(&answering);
	__atomic_store_n(&shared->fetch[child], READY, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&shared->fetch[child], __ATOMIC_SEQ_CST) != FETCHED)
		usleep(50);
	for (int i = 0; i < CONTEXTS; i++)
		if (shared->inherited[child][i])
			close(shared->inherited[child][i] - 1);
}

static int uffd_register(int region, size_t offset, size_t length, int context, uint64_t mode)
{
	struct uffdio_register range = {{(uintptr_t)at(region, offset), length}, mode, 0};

	if (ioctl(uffds[context], UFFDIO_REGISTER, &range))
		return -1;
	shared->regions[me][region].registered = true;
	shared->regions[me][region].context = context;
	return 0;
}

static int uffd_unregister(int region, size_t offset, size_t length)
{
	struct uffdio_range range = {(uintptr_t)at(region, offset), length};
	struct region *whole = &shared->regions[me][region];

	if (ioctl(uffds[whole->context], UFFDIO_UNREGISTER, &range))
		return -1;
	whole->registered = true;
	return 0;
}

/* The first use registers the whole region. The bit of the mode is the same for both. */
static int uffd_protect(int region, size_t offset, size_t length, bool protect, bool rwp)
{
	struct region *whole = &shared->regions[me][region];
	struct uffdio_writeprotect range = {
		{(uintptr_t)at(region, offset), length},
		protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0};

	if (!whole->registered &&
	    uffd_register(region, 0, whole->size, 0,
			  rwp ? REGISTER_MODE_RWP : UFFDIO_REGISTER_MODE_WP))
		return -1;
	return ioctl(uffds[whole->context], rwp ? RWPROTECT : UFFDIO_WRITEPROTECT, &range);
}

static int uffd_writeprotect(int region, size_t offset, size_t length, bool protect)
{
	return uffd_protect(region, offset, length, protect, false);
}

static int uffd_rwprotect(int region, size_t offset, size_t length, bool protect)
{
	return uffd_protect(region, offset, length, protect, true);
}

static int uffd_copy(int region, size_t offset, size_t length, int byte, uint64_t mode)
{
	struct uffdio_copy pages = {
		(uintptr_t)at(region, offset), (uintptr_t)copied, length, mode, 0};
	int result;

	memset(copied, byte, length);
	result = ioctl(uffds[shared->regions[me][region].context], UFFDIO_COPY, &pages);
	for (long long done = 0; done < pages.copy; done += page_size)
		wrote(at(region, offset + done), byte);
	return result;
}

static int uffd_zeropage(int region, size_t offset, size_t length)
{
	struct uffdio_zeropage pages = {{(uintptr_t)at(region, offset), length}, 0, 0};

	return ioctl(uffds[shared->regions[me][region].context], UFFDIO_ZEROPAGE, &pages);
}
