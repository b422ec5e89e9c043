/*
 * half-the-memory, as a program. It needs a swap area (zram, page-cluster 0) and prints, as JSON
 * lines, what the kernel counts in each step and the page maps after it. To build and run:
 *
 *     cc -std=c11 -O1 -ffp-contract=off -Wall -Wextra -pthread scenario.c -o scenario
 *     ./scenario
 *
 * Its memory limit is 1MiB, for which it takes an empty memory cgroup:
 *
 *     mkdir /sys/fs/cgroup/scenario
 *     ./scenario /sys/fs/cgroup/scenario
 *
 * The scenario:
 *
 *     # What does the patch save a program that has half of the memory that it needs?
 *     #
 *     # A minor fault for each page that comes back by a read and is written before it is reclaimed
 *     # again: 67 of them beside 360 major faults. The major faults are the same under every policy,
 *     # since what the kernel reclaims depends on which pages were accessed, not on how their PTEs
 *     # look. Nine accesses in ten go to a quarter of the pages, which the kernel has to find out
 *     # first: it sees accesses only when it scans, and an exact LRU (`machine.reclaim=lru`) would take
 *     # 330 major faults.
 *     name: half-the-memory
 *     description: Touch a buffer of 2 MiB at random under a memory limit of 1 MiB.
 *     machine:
 *       memory: 1MiB
 *       swap: {backend: zram, page_cluster: 0}
 *     steps:
 *       - mmap: buf
 *         size: 2MiB
 *       - memset: buf
 *         value: 0x11
 *       - measure: random_accesses
 *         steps:
 *           - access: buf
 *             pattern: hot
 *             hot_pages: 128
 *             hot_share: 0.9
 *             count: 4096
 *             write_share: 0.3
 *             seed: 1
 *     expect:
 *       random_accesses:
 *         prepatch: {minflt: 67, majflt: 360, pswpout: 403}
 *         rfc: {minflt: 0, majflt: 360, pswpout: 403}
 *         rework: {minflt: 0, majflt: 360, pswpout: 403}
 *         suggested: {minflt: 0, majflt: 360, pswpout: 403}
 *         simple: {minflt: 0, majflt: 360, pswpout: 403}
 *         final: {minflt: 0, majflt: 360, pswpout: 403}
 *         merged: {minflt: 0, majflt: 360, pswpout: 403}
 */

/* runtime/steps.h */

enum { P_main, PROCESSES };
enum { R_buf, REGIONS };
enum { FILES = 1 };
static const char *const process_names[] = { "main" };
static const char *const region_names[] = { "buf" };
static const char *const file_names[] = { "" };
#define EXPECTED_PAGE_SIZE 4096UL
#define WAITS_FOR_IO 0
#define WITHOUT_SWAP 0
#define NEEDS_SOFT_DIRTY 0
#define SCANNED_PAGES 1
#define MOST_COPIED (64 * KiB)
#define NEEDS_UFFD 0
#define NEEDS_RWP 0
#define CONTEXTS 1
static const struct context contexts[CONTEXTS] = {
	{UFFD_FEATURE_PAGEFAULT_FLAG_WP, 0x0},
};
#define NEEDS_MLOCK 0
#define LIMITS_LOCKED 0
#define MEMLOCK (0)
#define LIMIT (1 * MiB)
#define SWAP_LIMIT (0)
#define MGLRU 0
#define STAT_FLUSH 0
#define LRU_DRAIN 0
#define LARGE_FOLIOS 0
#define ADVISES_REGIONS 0
#define THP_SIZES 8
static const struct { const char *name; int kib; const char *enabled; } thp_sizes[] = {
	{"16KiB", 16, ""}, {"32KiB", 32, ""}, {"64KiB", 64, ""}, {"128KiB", 128, ""}, {"256KiB", 256, ""}, {"512KiB", 512, ""}, {"1MiB", 1024, ""}, {"2MiB", 2048, ""}
};
#define NEEDS_MLOCKALL 0
#define NEEDS_PINS 0
#define NEEDS_FORCE 0
#define NEEDS_GUP_TEST 0
#define HUGE_PAGES -1
#define NEEDS_KSM 0
#define LONGEST_SHUFFLE 512
#define MOST_RANKS 1
#define DATA_PAGES 1
static const unsigned long needed_bytes = 2 * MiB;

static void scenario(void)
{
	STEP(P_main, "0")
		map(R_buf, 2 * MiB, PROT_READ | PROT_WRITE, 0, ANYWHERE);
	STEP(P_main, "1")
		fill(R_buf, 0, 2 * MiB, 0x11);
	{	/* measure: random_accesses */
		STEP(P_main, "2.0")
			access_pages(R_buf, 0, 2 * MiB,
			     (struct pattern){.kind = HOT, .count = 4096, .seed = 1, .writes_below = 1288490188, .hot_pages = 128, .hot_below = 3865470566});
	}
}

/* runtime/base.c */

/* runtime/memory.c */

/*
 * Locked memory. A limit of it is for the regions: what the program has of its own, and locks with
 * mlockall(), comes on top of it.
 */
static size_t own_size, own_locked;	/* what that is, and how much of it can be locked */
static size_t locked_now;		/* of it */

static void limit_locked(size_t own)
{
	struct rlimit lock;

	getrlimit(RLIMIT_MEMLOCK, &lock);
	lock.rlim_cur = MEMLOCK ? MEMLOCK + own : 0;
	if (LIMITS_LOCKED && setrlimit(RLIMIT_MEMLOCK, &lock))
		fail("cannot set the limit of locked memory: ");
}

/* All of the process, but for what settle() needs not to be locked. */
static int lock_all(int flags)
{
	int result, error;

	limit_locked(own_size);
	result = mlockall(flags);
	error = errno;
	munlock(idle, page_size);
	if (!result && flags & MCL_CURRENT)
		locked_now = own_locked;
	limit_locked(locked_now);
	errno = error;
	return result;
}

static int unlock_all(void)
{
	locked_now = 0;
	limit_locked(0);
	return munlockall();
}

/* A child has nothing locked. */
static void unlocked_child(void)
{
	locked_now = 0;
	limit_locked(0);
}

/* From here on the process may lock no more than it is told. */
static void obey_limit(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct sets[2];

	if (!LIMITS_LOCKED)
		return;
	own_size = value_of(read_path("/proc/self/status"), "VmSize") * KiB;
	mlockall(MCL_CURRENT);
	munlock(idle, page_size);
	own_locked = value_of(read_path("/proc/self/status"), "VmLck") * KiB;
	munlockall();
	if (syscall(SYS_capget, &header, sets))
		fail("cannot read the capabilities: ");
	sets[0].effective &= ~(1U << CAP_IPC_LOCK);
	if (syscall(SYS_capset, &header, sets))
		fail("cannot give a capability up: ");
	limit_locked(0);
}

/*
 * What the program sets of the whole machine. A process of its own, which none of the signals that
 * end a program reaches, puts back what there was.
 */
#define MOST_KEPT (THP_SIZES + 8)

static struct kept {
	char path[128], before[24];
	const char *set;		/* NULL: put back whatever it is by then */
} kept[MOST_KEPT];
static int kept_count;
static int keeper_pipe = -1, keeper_lock = -1;
static pid_t keeper;

/* What one that was killed has set is put back first, or it would be kept as what there was. */
static void await_keepers(void)
{
	keeper_lock = open("/sys/kernel/mm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (keeper_lock < 0 || flock(keeper_lock, LOCK_EX))
		fail("cannot lock /sys/kernel/mm: ");
}

/* Empty where there is no such file; of several words the one in brackets. */
static void read_setting(const char *path, char *word)
{
	const char *all = read_path(path), *begin = strchr(all, '[');

	*word = 0;
	if (begin)
		sscanf(begin, "[%23[^]]", word);
	else
		sscanf(all, "%23s", word);
}

static bool write_setting(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, word, strlen(word)) > 0;

	if (fd >= 0)
		close(fd);
	return written;
}

static void keep(const char *path, const char *set)
{
	struct kept *file = &kept[kept_count];

	read_setting(path, file->before);
	if (!*file->before)
		return;
	snprintf(file->path, sizeof(file->path), "%s", path);
	file->set = set;
	kept_count++;
}

/* Until all that have the other end of a pipe have closed it, or are gone, of whatever they died. */
static void await_end(int pipe)
{
	char byte;

	while (read(pipe, &byte, 1) < 0 && errno == EINTR)
		;
}

/* In a process that is forked: these pipes end when the controller has gone. */
static void leave_to_controller(void)
{
	for (int p = 0; p < PROCESSES; p++)
		close(turn[p][1]);
	if (keeper_pipe >= 0)
		close(keeper_pipe);
}

static void die_with(pid_t controller)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != controller)
		_exit(1);
}

static void be_keeper(int pipe, int ready)
{
	char word[24];

	setsid();
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_IGN);
	close(ready);
	await_end(pipe);
	for (int i = 0; i < kept_count; i++) {
		read_setting(kept[i].path, word);
		if (!kept[i].set || !strcmp(word, kept[i].set))
			write_setting(kept[i].path, kept[i].before);
	}
	_exit(0);
}

/* To be called before anything is set: it returns when no signal to the group reaches the keeper. */
static void start_keeper(void)
{
	int ends[2], ready[2];

	if (!kept_count) {
		close(keeper_lock);
		return;
	}
	if (pipe(ends) || pipe(ready))
		fail("cannot set up: ");
	keeper = fork();
	if (keeper < 0)
		fail("cannot fork: ");
	if (!keeper) {
		close(ends[1]);
		close(ready[0]);
		leave_to_controller();
		be_keeper(ends[0], ready[1]);
	}
	close(ends[0]);
	close(ready[1]);
	await_end(ready[0]);
	close(ready[0]);
	close(keeper_lock);		/* the keeper's own holds the lock until it ends */
	keeper_pipe = ends[1];
}

static void put_back(void)
{
	if (keeper_pipe < 0)
		return;
	close(keeper_pipe);
	waitpid(keeper, NULL, 0);
}

/* runtime/thp.c */

/* runtime/limit.c */

/* runtime/random.c */

/* runtime/access.c */

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

/* Memory that is changed without an access. */

/* Whether /proc/PID/mem writes to what is read-only (FOLL_FORCE), as by default. */
static bool forces_writes(void)
{
	char *page = mmap(NULL, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	bool done = page != MAP_FAILED && fd >= 0 && pwrite(fd, "", 1, (uintptr_t)page) == 1;

	close(fd);
	munmap(page, page_size);
	return done;
}

/* Page by page, so that what comes before one that cannot be written is. */
static int poke(int region, size_t offset, size_t length, int byte)
{
	static char bytes[64 * KiB];
	char *start = at(region, offset), *limit = start + length;
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC), error = 0;

	if (fd < 0)
		fail("cannot open the memory of a process: ");
	memset(bytes, byte, sizeof(bytes));
	while (!error && start < limit) {
		char *next = page_of(start) + page_size;
		ssize_t size = (next < limit ? next : limit) - start;

		if (pwrite(fd, bytes, size, (uintptr_t)start) != size)
			error = errno;
		else
			wrote(start, byte);
		start += size;
	}
	close(fd);
	errno = error;
	return error ? -1 : 0;
}

/* The default policy leaves the VMAs as they are. */
static int migrate(char *start, size_t length)
{
	enum { MPOL_DEFAULT, MPOL_MF_MOVE = 2 };
	int result = syscall(SYS_mbind, start, length, MPOL_DEFAULT, NULL, 0, MPOL_MF_MOVE);

	if (result && errno == ENOSYS)
		note.missing = "the kernel does not migrate pages (CONFIG_NUMA)";
	return result;
}


/* KSM: ksmd scans until what is equal has been merged. */

#define KSM "/sys/kernel/mm/ksm/"

static bool has_ksm(void)
{
	return !access(KSM "run", W_OK);
}

static long ksm_setting(const char *path)
{
	return strtol(read_path(path), NULL, 10);
}

static void set_ksm(const char *path, long value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)			/* smart_scan came with Linux 6.7 */
		return;
	if (dprintf(fd, "%ld", value) < 0)
		fail("cannot set up KSM: ");
	close(fd);
}

/*
 * ksmd sleeps where there is nothing that it may merge, and its scans do not end then. A page that
 * is not there is enough, and none that a search could come to.
 */
static void keep_ksmd_awake(void)
{
	char *page = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		fail("cannot set up KSM: ");
	madvise(page, page_size, MADV_MERGEABLE);
}

static const char *const ksm_settings[] = {"smart_scan", "use_zero_pages", "pages_to_scan",
					   "sleep_millisecs", "run"};

static const char *ksm_path(const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), KSM "%s", file);
	return path;
}

static void keep_ksm(void)
{
	for (size_t i = 0; NEEDS_KSM && i < sizeof(ksm_settings) / sizeof(*ksm_settings); i++)
		keep(ksm_path(ksm_settings[i]), NULL);
}

/* What shows that a scan has merged pages, or split a large folio. */
static long ksm_progress(void)
{
	static const char *const counts[] = {"pages_shared", "pages_sharing", "pages_unshared",
					     "pages_volatile", "ksm_zero_pages"};
	long sum = 0;

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		if (!access(ksm_path(counts[i]), R_OK))
			sum = sum * 31 + ksm_setting(ksm_path(counts[i]));
	return sum;
}

/*
 * Only a scan of the scenario makes it run, over all pages at once, so that the next scan begins at
 * the first, until several have changed nothing.
 */
static void ksm_scan(int zero_pages)
{
	enum { SCANS = 8 };
	long begun = ksm_setting(KSM "full_scans"), progress = ksm_progress();

	set_ksm(KSM "smart_scan", 0);
	set_ksm(KSM "use_zero_pages", zero_pages);
	set_ksm(KSM "pages_to_scan", 100000000);
	set_ksm(KSM "sleep_millisecs", 1);
	while (ksm_setting(KSM "full_scans") < begun + SCANS) {
		set_ksm(KSM "run", 1);
		usleep(1000);
		if (ksm_progress() != progress) {
			begun = ksm_setting(KSM "full_scans");
			progress = ksm_progress();
		}
	}
	set_ksm(KSM "run", 0);
	note.uncounted = true;
	settle();
}

/* Of the regions alone: what the program has of its own is not to be merged with them. */
static void memory_merge(int on)
{
	enum { SET_MEMORY_MERGE = 67, GET_MEMORY_MERGE };

	if (prctl(SET_MEMORY_MERGE, on, 0, 0, 0))
		note.missing = "the kernel does not merge all of a process (Linux 6.4)";
	else if (prctl(GET_MEMORY_MERGE, 0, 0, 0, 0) != on)
		fail("PR_SET_MEMORY_MERGE had no effect: ");
	for (int i = 0; i < mapping_count; i++)
		madvise(mappings[i].start, mappings[i].size, MADV_UNMERGEABLE);
	settle();
}

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

/* Pins: a buffer that an io_uring has registered, or pages that pipes have got by vmsplice(). */

#define GUP_TEST "/sys/kernel/debug/gup_test"
#define MOST_PIPES 1024
static struct pin {
	int ring;			/* the io_uring, plus 1 */
	int count, held[MOST_PIPES];	/* other descriptors that hold pages */
} pins[REGIONS];

static void close_pin(int region)
{
	struct pin *pin = &pins[region];

	if (pin->ring)
		close(pin->ring - 1);
	pin->ring = 0;
	while (pin->count)
		close(pin->held[--pin->count]);
}

static bool has_io_uring(void)
{
	char parameters[120] = "";	/* struct io_uring_params */
	int fd = syscall(SYS_io_uring_setup, 1, parameters);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int pin_longterm(int region, size_t offset, size_t length)
{
	char parameters[120] = "";
	struct iovec range = {at(region, offset), length};
	int fd = syscall(SYS_io_uring_setup, 1, parameters), error;

	if (fd >= 0 && !syscall(SYS_io_uring_register, fd, 0 /* buffers */, &range, 1)) {
		pins[region].ring = fd + 1;
		return 0;
	}
	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

/* How many bytes a new pipe takes from an address on: where not all, as many as it may. */
static size_t room_of(int pipe, size_t wanted, const void *from)
{
	while (wanted > (size_t)fcntl(pipe, F_GETPIPE_SZ) && fcntl(pipe, F_SETPIPE_SZ, wanted) < 0)
		wanted /= 2;
	return fcntl(pipe, F_GETPIPE_SZ) - (uintptr_t)from % page_size;
}

/* The pages that another pipe has room for; false if it cannot be, or they cannot be got. */
static bool fill_pipe(struct pin *pin, struct iovec *left)
{
	struct iovec part = *left;
	ssize_t taken;
	size_t room;
	int ends[2], error;

	if (pin->count == MOST_PIPES || pipe(ends)) {
		note.missing = "there can be no pipes of so many pages (fs.pipe-max-size, "
			       "fs.pipe-user-pages-soft, ulimit -n)";
		return false;
	}
	pin->held[pin->count++] = ends[0];
	room = room_of(ends[1], left->iov_len + page_size, left->iov_base);
	if (part.iov_len > room)
		part.iov_len = room;
	while (part.iov_len && (taken = vmsplice(ends[1], &part, 1, SPLICE_F_NONBLOCK)) > 0) {
		part.iov_base = (char *)part.iov_base + taken;
		part.iov_len -= taken;
		left->iov_len -= taken;
	}
	left->iov_base = part.iov_base;
	error = errno;
	close(ends[1]);
	errno = error;
	return !part.iov_len;
}

static int pin_get(int region, size_t offset, size_t length)
{
	struct iovec left = {at(region, offset), length};
	int error;

	while (left.iov_len && fill_pipe(&pins[region], &left))
		;
	if (!left.iov_len || note.missing)
		return 0;
	error = errno;
	close_pin(region);
	errno = error;
	return -1;
}

/* One that no system call takes: the kernel's own test of it does, or what comes near. */
static int pin_longterm_read(int region, size_t offset, size_t length)
{
	struct {uint64_t address, size; uint32_t flags;} range = {
		(uintptr_t)at(region, offset), length, 2 /* pin_user_pages_fast() */};
	int fd = open(GUP_TEST, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return hold_pages(region, offset, length);
	if (ioctl(fd, _IOW('g', 7, range) /* PIN_LONGTERM_TEST_START */, &range))
		return -1;
	pins[region].held[pins[region].count++] = fd;
	return 0;
}

/* Of what the kernel did not pin nothing is held. */
static void unpin(int region)
{
	struct pin *pin = &pins[region];

	if (!release_pages(region)) {
		if (pin->ring && syscall(SYS_io_uring_register, pin->ring - 1, 1 /* no buffers */, NULL, 0))
			fail("cannot unpin: ");
		close_pin(region);
	}
	settle();
}

/* A child has none of its parent's, but their descriptors. */
static void forget_pins(void)
{
	for (int region = 0; region < REGIONS; region++) {
		close_pin(region);
		forget_hold(region);
	}
}

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

/* runtime/process.c */

/* runtime/controller.c */

/* Checks: the controller holds what the scenario claims against the page maps and the memory. */

static int checked;			/* the process that a check is of */
static int check_line;
static bool check_applies;		/* to this kernel */
static const char *between_checks;
static char unmet[512];			/* the first claim that does not hold */

static bool is_mapped(pid_t pid, const char *address)
{
	unsigned long start, limit;
	char path[64], line[512];
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (maps && !found && fgets(line, sizeof(line), maps))
		found = sscanf(line, "%lx-%lx", &start, &limit) == 2 &&
			start <= (uintptr_t)address && (uintptr_t)address < limit;
	if (maps)
		fclose(maps);
	return found;
}

static int open_of(pid_t pid, const char *file)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("cannot open the memory of a process: ");
	return fd;
}

static bool begin_check(int process, int line, const char *path, ...)
{
	va_list arguments;
	long now[COUNTERS];

	steps++;
	if (me != CONTROLLER)
		return false;
	va_start(arguments, path);
	vsnprintf(step_path, sizeof(step_path), path, arguments);
	va_end(arguments);
	checked = process;
	check_line = line;
	check_applies = true;
	between_checks = "";
	count_vmstat(now);
	in_line = true;
	printf("{\"step\":\"%s\",\"errno\":0,\"counters\":{},", step_path);
	print_elsewhere(now);
	memcpy(counted, now, sizeof(counted));
	printf("\"checks\":[");
	return true;
}

static bool end_check(void)
{
	printf("],");
	print_page_maps();
	printf("}\n");
	fflush(stdout);
	in_line = false;
	return false;
}

/* The claims that follow are made of kernels before 6.11, or from it on. */
static void only_of(bool before, bool since)
{
	struct utsname kernel;
	int major = 0, minor = 0;

	uname(&kernel);
	sscanf(kernel.release, "%d.%d", &major, &minor);
	check_applies = major > 6 || (major == 6 && minor >= 11) ? since : before;
}

static void print_check(const char *kind, int region, const char *expected, const char *actual,
			bool ok)
{
	const char *name = region < 0 ? "" : region_names[region];

	printf("%s{\"line\":%d,\"kind\":\"%s\",\"region\":\"%s\",\"expected\":\"%s\","
	       "\"actual\":\"%s\",\"applies\":%s,\"ok\":%s}", between_checks, check_line, kind,
	       name, expected, actual, check_applies ? "true" : "false",
	       ok ? "true" : "false");
	between_checks = ",";
	if (!ok && check_applies && !*unmet)
		snprintf(unmet, sizeof(unmet), "line %d, %s of %s in %s: %.150s in step %.60s, "
			 "expected %.150s", check_line, kind, name,
			 process_names[checked], actual, step_path, expected);
}

static void expect_vmas(int region, const char *expected)
{
	struct region whole = shared->regions[checked][region];
	unsigned long base = (uintptr_t)whole.start, limit = base + whole.size, done = base;
	unsigned long start, end;
	const char *comma = "";
	char path[64], line[512];
	size_t length;
	char *actual;
	FILE *maps, *out = open_memstream(&actual, &length);

	snprintf(path, sizeof(path), "/proc/%d/maps", shared->pid[checked]);
	maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2 || end <= base || start >= limit)
			continue;
		if (start > done) {
			fprintf(out, "%s%lu-", comma, (start - done) / page_size);
			comma = ",";
		}
		done = end < limit ? end : limit;
		fprintf(out, "%s%s%lu%s", comma, start < base ? "+" : "",
			(done - (start < base ? base : start)) / page_size, end > limit ? "+" : "");
		comma = ",";
	}
	if (done < limit)
		fprintf(out, "%s%lu-", comma, (limit - done) / page_size);
	if (maps)
		fclose(maps);
	fclose(out);
	print_check("vmas", region, expected, actual, !strcmp(actual, expected));
	free(actual);
}

static void expect_pages(int region, const char *expected, bool soft_dirty)
{
	uint64_t shown = soft_dirty ? PM_SHOWN : PM_SHOWN & ~PM_SOFT_DIRTY;
	int fd = open_of(shared->pid[checked], "pagemap");
	size_t length;
	char *actual;
	FILE *out = open_memstream(&actual, &length);

	write_page_map(out, fd, shared->regions[checked][region], shown);
	fclose(out);
	close(fd);
	print_check("pages", region, expected, actual, !strcmp(actual, expected));
	free(actual);
}

/* What a page of the process checked holds, of which `claimed` is said. What is in swap, or
 * only in the page cache, is not read: that would bring it here. */
static int data_of(int mem, int region, size_t page, uint64_t entry, int claimed)
{
	const char *start = shared->regions[checked][region].start + page * page_size;
	struct datum wrote = *datum(checked, region, page);
	struct region of = shared->regions[checked][region];
	unsigned char byte = 0;

	if (entry & PM_SWAP)
		return UNREAD;
	if (!(entry & PM_PRESENT) && !is_mapped(shared->pid[checked], start))
		return UNMAPPED;
	if (!(entry & PM_PRESENT) && (of.shared || of.file))
		return UNREAD;
	if (entry & PM_PRESENT && pread(mem, &byte, 1, (uintptr_t)start + wrote.at) != 1)
		fail("cannot read the memory of a process: ");
	if (claimed == UNCHANGED && (byte == wrote.value || (wrote.freed && !byte)))
		return UNCHANGED;
	return byte;
}

static void print_data(FILE *out, size_t pages, int value, const char *after)
{
	fprintf(out, "%zu:", pages);
	if (value == UNREAD)
		fputs("unread", out);
	else if (value == UNCHANGED)
		fputs("unchanged", out);
	else if (value == UNMAPPED)
		fputs("-", out);
	else if (value == 0)
		fputs("zero", out);
	else
		fprintf(out, "0x%02x", value);
	fputs(after, out);
}

/* Of what is said of the last scan of the process; -1 and NULL for nothing. */
static void expect_scan(const char *expected, long regions, long walk_end, const char *pages)
{
	const struct scan *found = &shared->scans[checked];
	char *there = scanned_pages(found), *actual;
	long ended = found->walk_end - found->start;
	bool ok = found->start && found->count >= 0;
	size_t length;
	FILE *out = open_memstream(&actual, &length);

	if (ok && regions >= 0)
		fprintf(out, "regions %d", found->count);
	if (ok && walk_end >= 0)
		fprintf(out, "%swalk_end %ld", regions >= 0 ? ", " : "", ended);
	if (ok && pages)
		fprintf(out, "%spages %s", regions >= 0 || walk_end >= 0 ? ", " : "", there);
	fputs(ok ? "" : "none", out);
	fclose(out);
	print_check("scan", -1, expected, actual, !strcmp(actual, expected));
	free(there);
	free(actual);
}

static void expect_data(int region, const char *expected, struct run claimed, ...)
{
	struct region whole = shared->regions[checked][region];
	int mem = open_of(shared->pid[checked], "mem");
	int pagemap = open_of(shared->pid[checked], "pagemap");
	size_t pages = whole.size / page_size, run = 0, length;
	int before = 0, there;
	bool ok = true;
	uint64_t entry;
	va_list more;
	char *actual;
	FILE *out = open_memstream(&actual, &length);

	va_start(more, claimed);
	for (size_t page = 0; page < pages; page++, run++, claimed.pages--) {
		if (!claimed.pages)
			claimed = va_arg(more, struct run);
		if (pread(pagemap, &entry, 8, ((uintptr_t)whole.start / page_size + page) * 8) != 8)
			fail("cannot read pagemap: ");
		there = data_of(mem, region, page, entry, claimed.value);
		ok = ok && (there == claimed.value || there == UNREAD);
		if (run && there != before) {
			print_data(out, run, before, ",");
			run = 0;
		}
		before = there;
	}
	print_data(out, run, before, "");
	va_end(more);
	fclose(out);
	close(mem);
	close(pagemap);
	print_check("data", region, expected, actual, ok);
	free(actual);
}

/* runtime/main.c */
