/*
 * A memory limit. The processes of the scenario are in a cgroup of their own, whose directory is the
 * argument of the program. The limit is for their pages: what the kernel keeps for them besides, page
 * tables for the most part, comes on top of it, and is there before the first page. What else depends on
 * time is forced: after every access the TLB is flushed, so that accessed bits are true, and the batches
 * are drained and the statistics flushed when the scenario says so, at no other time.
 */
#define STAT_BATCH 64			/* MEMCG_CHARGE_BATCH */
#define SPARE 8				/* pages: less than a charge takes in advance */
#define FILLER (16 * MiB)
#define MOST_OBJECTS 64			/* VMAs: more than a page is charged for */
#define THEN 10				/* of about 17 for a page: a step takes two, and may give back more */

static char *beyond;			/* the end of a file: faults here are counted and map nothing */
static long uncertain;			/* updates that a read of memory.stat may overlook */
static long kernel_memory;		/* bytes charged for it when the limit was set; 0: it is not */
static int cgroup_stat = -1, cgroup_max = -1, cgroup_current = -1, refresh_fd = -1;
static int filler[2];			/* a pipe, of which each page is the kernel's */

/* Between two accesses, or steps. */
static void quiet(void)
{
	if (!LIMIT)
		settle();
}

/*
 * A read of memory.stat flushes where more updates are pending than a number for each CPU; failed faults
 * make them. The text of memory.stat says whether it did: it has all of these faults.
 */
static void flush_statistics(void)
{
	static long before;
	long faults;

	for (long i = 0; i < uncertain; i++)
		syscall(SYS_rt_sigprocmask, SIG_BLOCK, beyond, NULL, 8);
	faults = value_of(read_text(cgroup_stat), "pgfault");
	if (faults - before < uncertain)
		note.missing = "the statistics of a cgroup cannot be flushed on this kernel";
	before = faults;
	if (kernel_memory && value_of(text, "kernel") != kernel_memory)
		note.missing = "what the kernel itself needs of the memory limit has changed meanwhile";
}

static bool every(unsigned long period)
{
	return period && accesses % period == 0;
}

/* An access is over. */
static void tick(void)
{
	if (!LIMIT)
		return;
	accesses++;
	flush_tlb();
	if (MGLRU)			/* it is switched to again, and not while it reclaims */
		usleep(200);
	if (every(LRU_DRAIN))
		settle();
	if (every(STAT_FLUSH))
		flush_statistics();
}

/* With the shared page of zeros, which is charged to nobody. */
static void make_page_tables(char *start, size_t size)
{
	char *next;

	for (char *page = start; page < start + size; page = next) {
		next = (char *)(((uintptr_t)page & -ALIGNMENT) + ALIGNMENT);
		madvise(page, page_size, MADV_POPULATE_READ);
		madvise(page, page_size, MADV_DONTNEED);
	}
}

static void write_max(unsigned long bytes)
{
	char number[32];
	int length = snprintf(number, sizeof(number), "%lu", bytes);

	if (pwrite(cgroup_max, number, length, 0) != length)
		note.missing = "memory.max of the cgroup cannot be written";
}

static void set_limit(void)
{
	kernel_memory = 0;
	flush_statistics();
	kernel_memory = value_of(text, "kernel");
	if (kernel_memory < 0)
		note.missing = "the kernel does not say what its own memory of a cgroup is (Linux 5.18)";
	else
		write_max(LIMIT + kernel_memory);
}

static unsigned long charged(void)
{
	return atol(read_text(cgroup_current));
}

/* An object that the kernel charges for: a VMA, which does not merge with the last one. */
static void make_object(void)
{
	static int other;

	other ^= MAP_NORESERVE;
	mmap(NULL, page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | other, -1, 0);
}

/*
 * Objects are charged in bytes, and a page is when these run out (struct memcg_stock_pcp). A step that
 * splits a VMA or is the first to write to one is to find bytes enough, and as much room for those that it
 * gives back, lest it takes a page of the limit. The limit is small meanwhile, so that no pages are charged
 * in advance; those that were go into the pipe.
 */
static void provide_bytes(void)
{
	static char page[64 * KiB];
	unsigned long before, pages = 0;
	int objects = 0;

	if (kernel_memory <= 0)
		return;
	usleep(20000);			/* what was freed under RCU comes back */
	before = charged();
	write_max(before + SPARE * page_size);
	for (; charged() == before; pages++) {
		if (write(filler[1], page, page_size) != (ssize_t)page_size) {
			note.missing = "the pages that were charged in advance do not fit into a pipe";
			return;
		}
	}
	for (before = charged(); charged() == before && objects < MOST_OBJECTS; objects++)
		make_object();
	for (int more = 0; more < THEN; more++)
		make_object();
	if (charged() != before + page_size)
		note.missing = "a page of VMAs is not charged as one page";
	kernel_memory += (pages + 1) * page_size;
	write_max(LIMIT + kernel_memory);
}

/* A new region: its page tables are the kernel's. Their faults are nobody's. */
static void prepare_region(char *start, size_t size, int prot)
{
	if (!LIMIT)
		return;
	make_page_tables(start, size);
	if (!(prot & PROT_READ))
		mprotect(start, size, prot);
	set_limit();
	getrusage(RUSAGE_THREAD, &usage_before);
}

/* In a page table that is there. */
static void map_beyond(void)
{
	char *place = mmap(NULL, 2 * ALIGNMENT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned = (char *)(((uintptr_t)place + ALIGNMENT - 1) & -ALIGNMENT);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END), last = (size - 1) & -page_size;

	if (place == MAP_FAILED || fd < 0 || mmap(aligned, 2 * page_size, PROT_READ,
						   MAP_PRIVATE | MAP_FIXED, fd, last) != aligned)
		fail("cannot map the end of the program: ");
	close(fd);
	beyond = aligned + page_size;
}

static int open_in(const char *directory, const char *name, int flags)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		end_with("skip", name, " of the cgroup cannot be opened", SKIP);
	return fd;
}

static void limit_swap(const char *directory)
{
	int fd = open_in(directory, "memory.swap.max", O_WRONLY);

	if (dprintf(fd, "%lu", (unsigned long)SWAP_LIMIT) < 0)
		fail("cannot limit swap: ");
	close(fd);
}

static void set_up_limit(const char *directory)
{
	if (!LIMIT && !SWAP_LIMIT)
		return;
	if (!directory)
		skip("it has a memory limit, or one of swap: give the directory of an empty memory "
		     "cgroup as argument");
	cgroup_procs = open_in(directory, "cgroup.procs", O_WRONLY);
	if (SWAP_LIMIT)
		limit_swap(directory);
	if (!LIMIT)
		return;
	cgroup_max = open_in(directory, "memory.max", O_WRONLY);
	cgroup_current = open_in(directory, "memory.current", O_RDONLY);
	cgroup_stat = open_in(directory, "memory.stat", O_RDONLY);
	read_text(cgroup_current);	/* the buffers of these files are not the cgroup's */
	read_text(cgroup_stat);
	refresh_fd = open("/proc/sys/vm/stat_refresh", O_RDONLY | O_CLOEXEC);
	if (refresh_fd < 0)
		skip("the counters of reclaim are brought up to date by root alone (vm.stat_refresh)");
	map_beyond();
	if (pipe2(filler, O_CLOEXEC | O_NONBLOCK) || fcntl(filler[1], F_SETPIPE_SZ, FILLER) < 0)
		skip("there can be no pipe of 16 MiB (fs.pipe-max-size)");
	uncertain = (sysconf(_SC_NPROCESSORS_ONLN) + 2) * STAT_BATCH;
}

/* Nothing else runs on its CPU until it waits or sleeps. */
static void take_the_cpu(void)
{
	if (LIMIT && sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1}))
		skip("a process cannot get a real-time priority (CAP_SYS_NICE)");
}

/* What a process has of its own is not the cgroup's: it was there before. */
static void limit_process(pid_t pid)
{
	if ((LIMIT || SWAP_LIMIT) && dprintf(cgroup_procs, "%d\n", pid) < 0)
		end_with("skip", "a process cannot be moved into the cgroup: ", strerror(errno), SKIP);
}
