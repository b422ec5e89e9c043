/*
 * The rest is the same for every scenario.
 *
 * The first process, the controller, executes no step. It walks through scenario() like all the
 * others; at each step it tells the process whose turn it is, waits for its report, reads
 * /proc/vmstat and the page maps, and prints a line. A process that is forked goes on walking from
 * its fork. All run on one CPU. What a process touches of its own, stack, code and data, is
 * faulted in before each of its steps, so that the step counts the faults of the regions alone.
 */
#define CONTROLLER (-1)
#define BASE (1UL << 44)		/* regions lie from here on, away from everything else */
#define LOWEST (64 * KiB)		/* as vm.mmap_min_addr is for others than root */
#define END (1UL << 47)			/* of the address space */
#define ALIGNMENT (2 * MiB)
#define SKIP 4				/* the exit code, as in kselftest */
#define MAX_MAPPINGS 64
#define FLIPPED 64			/* pages: more than a TLB flushes one by one */
#define MAX_DEVICES 8
#define STACK (128 * KiB)

#define PM_SOFT_DIRTY (1ULL << 55)
#define PM_MMAP_EXCLUSIVE (1ULL << 56)
#define PM_UFFD_WP (1ULL << 57)
#define PM_SWAP (1ULL << 62)
#define PM_PRESENT (1ULL << 63)
#define PM_SHOWN (PM_SOFT_DIRTY | PM_MMAP_EXCLUSIVE | PM_UFFD_WP | PM_SWAP | PM_PRESENT)

struct region {
	char *start;			/* NULL: not mapped yet */
	size_t size;
	bool registered;		/* with a userfaultfd of the process */
	int context;			/* which one */
	bool shared;			/* with its children */
	int file;			/* 1 + the file of tmpfs that it maps, */
	size_t offset;			/* from this on */
};

struct datum {				/* what a process last wrote to a page, where checks ask */
	uint16_t at;			/* that byte of the page */
	uint8_t value;
	bool freed;			/* it may read as zero instead: MADV_FREE */
};

struct page_region {
	uint64_t start, end, categories;
};

struct scan {				/* what the last scan of a process has found */
	int count;			/* of regions; -1: it failed */
	uint64_t start, length, walk_end;
	struct page_region regions[SCANNED_PAGES];
};

struct shared {				/* by all processes */
	struct region regions[PROCESSES][REGIONS];
	struct datum data[PROCESSES][REGIONS][DATA_PAGES];
	struct datum in_file[FILES][DATA_PAGES];
	bool made[FILES];		/* the files have their sizes */
	pid_t pid[PROCESSES];		/* 0: does not live */
	struct scan scans[PROCESSES];
	int inherited[PROCESSES][CONTEXTS];	/* userfaultfds: descriptors of the parent's plus 1 */
	enum { NOT_YET, READY, FETCHED } fetch[PROCESSES];	/* the child, these */
	char cause[160];		/* of which a process has died */
};

struct report {				/* of a process to the controller, after its step */
	int process;
	int error;
	long minflt, majflt;
	long uffd_wp, uffd_rwp, uffd_missing, sigsegv, sigbus;
	bool uncounted;			/* its faults do not count: fork, clear_refs */
	bool forked, born, leaving;
	bool scanned;			/* pages were, and the answer is in `shared` */
	const char *missing;		/* what the kernel does not do here */
	int unmapped;			/* 1 + the region that cannot lie where it has to */
	unsigned long address;
};

#define SAME(name) {name, name, NULL, NULL}
#define OF_SIZES(name, file) {name, NULL, NULL, file}
static const struct { const char *name, *in_vmstat, *besides, *of_sizes; } counters[] = {
	SAME("pswpin"),
	SAME("pswpout"),
	SAME("swap_ra"),
	SAME("swap_ra_hit"),
	SAME("zswpin"),
	SAME("zswpout"),
	SAME("swpin_zero"),
	SAME("swpout_zero"),
#if LARGE_FOLIOS
	OF_SIZES("mthp_fault_alloc", "stats/anon_fault_alloc"),
	OF_SIZES("mthp_swpin", "stats/swpin"),
	OF_SIZES("mthp_swpin_fallback", "stats/swpin_fallback"),
	OF_SIZES("mthp_swpout", "stats/swpout"),
	OF_SIZES("mthp_swpout_fallback", "stats/swpout_fallback"),
	OF_SIZES("mthp_split", "stats/split"),
	SAME("thp_fault_alloc"),
	SAME("thp_swpout"),
	SAME("thp_split_page"),
#endif
#if LIMIT
	{"pgscan", "pgscan_anon", "pgscan_file", NULL},	/* that is where MADV_FREE puts pages */
	{"pgsteal", "pgsteal_anon", "pgsteal_file", NULL},
	SAME("pgactivate"),
	SAME("pgdeactivate"),
	{"workingset_refault", "workingset_refault_anon", NULL, NULL},
	{"workingset_activate", "workingset_activate_anon", NULL, NULL},
	{"workingset_restore", "workingset_restore_anon", NULL, NULL},
#endif
};
#define COUNTERS (sizeof(counters) / sizeof(*counters))

struct mapping {
	char *start;
	size_t size;
	bool writable;
};

static int me = CONTROLLER;
static size_t page_size;
static struct shared *shared;
static char *idle;			/* a page that is never touched */
static int turn[PROCESSES][2], reports[2], vmstat_fd;
static int pidfds[PROCESSES];
static long counted[COUNTERS];		/* by /proc/vmstat up to the end of the last step */
static unsigned long steps;		/* so many were begun */
static unsigned long accesses;		/* so many were made */
static int cgroup_procs = -1;
static int files[FILES];		/* of tmpfs, open in all processes */
static char step_path[512];
static bool in_line;			/* a line of output was begun */
static struct report note;		/* on the step under way */
static struct rusage usage_before;
enum { PROTECTED, READ_PROTECTED, MISSING, EVENTS };	/* of userfaultfd */
static unsigned long events_before[EVENTS];
static volatile unsigned long events[EVENTS];
static sigjmp_buf escape;
static struct mapping mappings[MAX_MAPPINGS];
static int mapping_count;
static char *flipped;			/* their protection changes to flush the TLB */
static char devices[MAX_DEVICES][128];	/* /sys/class/block/.../inflight of each swap device */
static int device_count;
static uint32_t shuffled[LONGEST_SHUFFLE];
static double weights[MOST_RANKS];	/* of the ranks, added up */
static char text[64 * KiB];		/* of files in /proc */

static void put_back(void);

/* Ends: what is missing here, or what went wrong. */

static void end_with(const char *key, const char *why, const char *detail, int code)
{
	if (me == CONTROLLER) {
		printf("%s{\"%s\":\"%s%s\"}\n", in_line ? "\n" : "", key, why, detail);
		fflush(stdout);
		put_back();
	} else {
		snprintf(shared->cause, sizeof(shared->cause), ": %s%s", why, detail);
	}
	_exit(code);
}

static void fail(const char *what)
{
	end_with("failed", what, strerror(errno), 1);
}

static void skip(const char *why)
{
	end_with("skip", why, "", SKIP);
}

/* All of a file, which may come in pieces. */
static const char *read_text(int fd)
{
	size_t length = 0;
	ssize_t piece;

	do {
		piece = pread(fd, text + length, sizeof(text) - 1 - length, length);
		length += piece > 0 ? piece : 0;
	} while (piece > 0);
	text[length] = 0;
	return text;
}

static const char *read_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return "";
	read_text(fd);
	close(fd);
	return text;
}

/* The number after a name at the beginning of a line; -1 where there is none. */
static long value_of(const char *lines, const char *name)
{
	size_t length = strlen(name);

	for (const char *line = lines; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, length) && (line[length] == ' ' || line[length] == ':'))
			return atol(line + length + 1);
	}
	return -1;
}

/* Quiet: nothing waits in this CPU's batches, no I/O is in flight. */

static bool busy(void)
{
	long reads, writes;

	if (value_of(read_text(vmstat_fd), "nr_writeback") > 0)
		return true;
	for (int i = 0; i < device_count; i++)
		if (sscanf(read_path(devices[i]), "%ld %ld", &reads, &writes) == 2 && reads + writes)
			return true;
	return false;
}

static void settle(void)
{
	madvise(idle, page_size, MADV_COLD);	/* begins with lru_add_drain() */
	if (WAITS_FOR_IO)
		while (busy())
			usleep(100);
}
