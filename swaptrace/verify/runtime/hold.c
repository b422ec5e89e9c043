/*
 * A pin to read where the kernel's own test of it is missing: process_vm_readv() pins the pages that it
 * reads, all of them before it copies the first byte, and a userfaultfd lets that wait. It is none for
 * long, which makes a difference only where a page is not anonymous.
 */
#define MOST_HELD 1024			/* pages that one call pins at once */
#define HELD_REGIONS (NEEDS_GUP_TEST ? REGIONS : 1)

static struct hold {
	pthread_t thread;
	int fd;				/* the userfaultfd, plus 1; 0: nothing is held */
	char *place;			/* where the byte goes that waits */
	struct iovec pages;
} holds[HELD_REGIONS];

static uint64_t pagemap_entry(int fd, const void *address)
{
	uint64_t entry = 0;

	return pread(fd, &entry, 8, (uintptr_t)address / page_size * 8) == 8 ? entry : 0;
}

/* Whether each page is anonymous memory, in swap or not, and not the shared one of zeros. */
static bool all_anonymous(char *start, size_t length)
{
	const uint64_t frame = (1ULL << 55) - 1;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	volatile char *zeros = mmap(NULL, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry, zero;
	bool found = fd >= 0 && (void *)zeros != MAP_FAILED && !*zeros;

	zero = found ? pagemap_entry(fd, (void *)zeros) & frame : 0;
	for (size_t at = 0; at < length && found; at += page_size) {
		entry = pagemap_entry(fd, start + at);
		found = zero && entry >> 62 && !(entry >> 61 & 1) && (entry & frame) != zero;
	}
	munmap((void *)zeros, page_size);
	close(fd);
	return found;
}

/* The faults of the pin, which are this thread's. */
static bool read_all(struct iovec *pages)
{
	static struct iovec to[MOST_HELD];
	size_t count = 0;

	for (; count < pages->iov_len / page_size; count++)
		to[count] = (struct iovec){text, page_size};
	return process_vm_readv(getpid(), to, count, pages, 1, 0) == (ssize_t)pages->iov_len;
}

static void *wait_to_read(void *arg)
{
	struct hold *hold = arg;
	struct iovec byte = {hold->place, 1};

	process_vm_readv(getpid(), &byte, 1, &hold->pages, 1, 0);
	return NULL;
}

static bool begin_to_wait(struct hold *hold)
{
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	struct pollfd waits = {.events = POLLIN};
	int fd = open_uffd(0);

	hold->place = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	range.range.start = (uintptr_t)hold->place;
	range.range.len = page_size;
	waits.fd = fd;
	if (fd < 0 || hold->place == MAP_FAILED || ioctl(fd, UFFDIO_REGISTER, &range))
		return false;
	hold->fd = fd + 1;
	return !pthread_create(&hold->thread, NULL, wait_to_read, hold) && poll(&waits, 1, -1) == 1;
}

/* What is done besides the pin counts for nothing. */
static void forget_faults(const struct rusage *before)
{
	struct rusage after;

	getrusage(RUSAGE_THREAD, &after);
	usage_before.ru_minflt += after.ru_minflt - before->ru_minflt;
}

/* Returns as the kernel's own test does. */
static int hold_pages(int region, size_t offset, size_t length)
{
	struct hold *hold = &holds[region % HELD_REGIONS];
	struct rusage before;

	hold->pages = (struct iovec){at(region, offset), length};
	getrusage(RUSAGE_THREAD, &before);
	if (length > MOST_HELD * page_size || !all_anonymous(at(region, offset), length))
		note.missing = "the kernel has no pin for reading of such pages (CONFIG_GUP_TEST)";
	forget_faults(&before);
	if (note.missing)
		return 0;
	if (!read_all(&hold->pages)) {
		errno = EFAULT;
		return -1;
	}
	getrusage(RUSAGE_THREAD, &before);
	if (!begin_to_wait(hold))
		fail("cannot hold pages: ");
	forget_faults(&before);
	return 0;
}

/* The byte gets a page to go to, and with that the pin is over. */
static bool release_pages(int region)
{
	struct hold *hold = &holds[region % HELD_REGIONS];
	struct uffdio_copy page = {(uintptr_t)hold->place, (uintptr_t)text, page_size, 0, 0};
	struct rusage before;

	if (!hold->fd)
		return false;
	getrusage(RUSAGE_THREAD, &before);
	if (ioctl(hold->fd - 1, UFFDIO_COPY, &page))
		fail("cannot let go of pages: ");
	pthread_join(hold->thread, NULL);
	close(hold->fd - 1);
	munmap(hold->place, page_size);
	hold->fd = 0;
	forget_faults(&before);
	return true;
}

/* A child has no such thread. */
static void forget_hold(int region)
{
	struct hold *hold = &holds[region % HELD_REGIONS];

	if (hold->fd)
		close(hold->fd - 1);
	hold->fd = 0;
}
