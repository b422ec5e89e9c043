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
#define ALIGNMENT (2 * MiB)
#define SKIP 4				/* the exit code, as in kselftest */
#define MAX_MAPPINGS 64
#define MAX_DEVICES 8
#define STACK (128 * KiB)

#define PM_SOFT_DIRTY (1ULL << 55)
#define PM_MMAP_EXCLUSIVE (1ULL << 56)
#define PM_UFFD_WP (1ULL << 57)
#define PM_SWAP (1ULL << 62)
#define PM_PRESENT (1ULL << 63)

struct region {
	char *start;			/* NULL: not mapped yet */
	size_t size;
};

struct shared {				/* by all processes */
	struct region regions[PROCESSES][REGIONS];
	pid_t pid[PROCESSES];		/* 0: does not live */
};

struct report {				/* of a process to the controller, after its step */
	int process;
	int error;
	long minflt, majflt;
	long uffd_wp, sigsegv;
	bool uncounted;			/* its faults do not count: fork, clear_refs */
	bool forked, born, leaving;
};

static const char *const counters[] = {
	"pswpin", "pswpout", "swap_ra", "swap_ra_hit",
	"zswpin", "zswpout", "swpin_zero", "swpout_zero",
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
static unsigned long steps;		/* so many were begun */
static char step_path[512];
static struct report note;		/* on the step under way */
static struct rusage usage_before;
static unsigned long events_before;
static volatile unsigned long events;	/* of userfaultfd */
static int uffd = -1;
static char handler_stack[STACK] __attribute__((aligned(65536)));
static sigjmp_buf escape;
static struct mapping mappings[MAX_MAPPINGS];
static int mapping_count;
static char devices[MAX_DEVICES][128];	/* /sys/class/block/.../inflight of each swap device */
static int device_count;
static uint32_t shuffled[LONGEST_SHUFFLE];
static char text[64 * KiB];		/* of files in /proc */

/* Ends: what is missing here, or what went wrong. */

static void end_with(const char *key, const char *why, const char *detail, int code)
{
	if (me == CONTROLLER) {
		printf("{\"%s\":\"%s%s\"}\n", key, why, detail);
		fflush(stdout);
	} else {
		dprintf(2, "%s%s\n", why, detail);
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

static const char *read_text(int fd)
{
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);

	text[length > 0 ? length : 0] = 0;
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

/* userfaultfd: the handler un-protects the page that faulted, which wakes the writer. */

static void *handler(void *arg)
{
	struct uffd_msg message;

	while (read(uffd, &message, sizeof(message)) == sizeof(message)) {
		struct uffdio_writeprotect page = {
			{message.arg.pagefault.address & -page_size, page_size}, 0};

		if (message.event != UFFD_EVENT_PAGEFAULT)
			continue;
		__atomic_add_fetch(&events, 1, __ATOMIC_SEQ_CST);
		while (ioctl(uffd, UFFDIO_WRITEPROTECT, &page) && errno == EAGAIN)
			;
	}
	return arg;
}

/* Whether there is a userfaultfd for write-protection; otherwise errno says why not. */
static bool open_uffd(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};

	if (uffd >= 0)
		close(uffd);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	return uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api);
}

static void start_handler(void)
{
	pthread_attr_t attributes;
	pthread_t thread;

	events = 0;
	pthread_attr_init(&attributes);
	pthread_attr_setstack(&attributes, handler_stack, sizeof(handler_stack));
	if (!open_uffd() || pthread_create(&thread, &attributes, handler, NULL))
		fail("no userfaultfd: ");
}

static int uffd_writeprotect(int region, size_t offset, size_t length, bool protect)
{
	struct region whole = shared->regions[me][region];
	struct uffdio_register registration = {
		{(uintptr_t)whole.start, whole.size}, UFFDIO_REGISTER_MODE_WP, 0};
	struct uffdio_writeprotect range = {
		{(uintptr_t)at(region, offset), length},
		protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0};

	if (ioctl(uffd, UFFDIO_REGISTER, &registration))
		return -1;
	return ioctl(uffd, UFFDIO_WRITEPROTECT, &range);
}

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

/* Processes. */

static void clear_soft_dirty(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "4", 1) != 1)
		fail("cannot write to clear_refs: ");
	close(fd);
	note.uncounted = true;
}

static void start_process(int process)
{
	me = process;
	shared->pid[me] = getpid();
	if (NEEDS_UFFD)
		start_handler();
}

static void fork_process(int child)
{
	pid_t pid;

	memcpy(shared->regions[child], shared->regions[me], sizeof(shared->regions[me]));
	pid = fork();
	if (pid < 0)
		fail("cannot fork: ");
	note.uncounted = true;
	if (pid) {
		note.forked = true;
		return;
	}
	start_process(child);
	note.born = true;
}

static void send_report(void)
{
	note.process = me;
	if (write(reports[1], &note, sizeof(note)) != sizeof(note))
		_exit(1);
}

static void exit_process(void)
{
	note.leaving = true;
	send_report();
	_exit(0);
}

/* Steps. */

static void wait_for_byte(void)
{
	char byte;

	if (read(turn[me][0], &byte, 1) != 1)
		_exit(0);		/* the controller is done, or has gone */
}

static bool wait_for_turn(void)
{
	wait_for_byte();
	touch_own_memory();
	settle();
	memset(&note, 0, sizeof(note));
	events_before = events;
	getrusage(RUSAGE_THREAD, &usage_before);
	return true;
}

static bool end(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	if (!note.uncounted) {
		note.minflt = usage.ru_minflt - usage_before.ru_minflt;
		note.majflt = usage.ru_majflt - usage_before.ru_majflt;
		note.uffd_wp = events - events_before;
	}
	send_report();
	return false;
}

static struct report next_report(int process)
{
	struct pollfd wanted[2] = {{reports[0], POLLIN, 0}, {pidfds[process], POLLIN, 0}};
	struct report report;

	while (poll(wanted, 2, -1) < 0 && errno == EINTR)
		;
	if (!(wanted[0].revents & POLLIN))
		end_with("failed", "a process died in step ", step_path, 1);
	if (read(reports[0], &report, sizeof(report)) != sizeof(report))
		fail("no report of a process: ");
	return report;
}

static int open_pidfd(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		fail("pidfd_open: ");
	return fd;
}

static void count_vmstat(long *values)
{
	read_text(vmstat_fd);
	for (size_t i = 0; i < COUNTERS; i++)
		values[i] = value_of(text, counters[i]);
}

static void append_flags(char *to, uint64_t entry)
{
	if (entry & PM_PRESENT)
		*to++ = 'P';
	if (entry & PM_SWAP)
		*to++ = 'S';
	if (entry & PM_SOFT_DIRTY)
		*to++ = 'D';
	if (entry & PM_MMAP_EXCLUSIVE)
		*to++ = 'X';
	if (entry & PM_UFFD_WP)
		*to++ = 'U';
}

static void print_page_map(int fd, struct region region)
{
	static uint64_t entries[4 * KiB];
	size_t first = (uintptr_t)region.start / page_size, pages = region.size / page_size;
	size_t run = 0, length;
	char before[8] = "", flags[8];

	for (size_t done = 0; done < pages; done += length) {
		length = pages - done < 4 * KiB ? pages - done : 4 * KiB;
		if (pread(fd, entries, length * 8, (first + done) * 8) != (ssize_t)length * 8)
			fail("cannot read pagemap: ");
		for (size_t i = 0; i < length; i++, run++) {
			memset(flags, 0, sizeof(flags));
			append_flags(flags, entries[i]);
			if (run && strcmp(flags, before)) {
				printf("%zu%s,", run, *before ? before : "-");
				run = 0;
			}
			memcpy(before, flags, sizeof(before));
		}
	}
	printf("%zu%s", run, *before ? before : "-");
}

static void print_page_maps(void)
{
	const char *between = "";
	char path[64];
	int fd;

	printf("\"pages\":{");
	for (int p = 0; p < PROCESSES; p++) {
		const char *comma = "";

		if (!shared->pid[p])
			continue;
		printf("%s\"%s\":{", between, process_names[p]);
		between = ",";
		snprintf(path, sizeof(path), "/proc/%d/pagemap", shared->pid[p]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fail("cannot open pagemap: ");
		for (int r = 0; r < REGIONS; r++) {
			if (!shared->regions[p][r].start)
				continue;
			printf("%s\"%s\":\"", comma, region_names[r]);
			print_page_map(fd, shared->regions[p][r]);
			printf("\"");
			comma = ",";
		}
		close(fd);
		printf("}");
	}
	printf("}");
}

static void await_exit(int process)
{
	struct pollfd gone = {pidfds[process], POLLIN, 0};

	while (poll(&gone, 1, -1) < 0 && errno == EINTR)
		;
	close(pidfds[process]);
	shared->pid[process] = 0;
	memset(shared->regions[process], 0, sizeof(shared->regions[process]));
}

/* What the processes sent: a fork is over when both have reported, an exit when all is gone. */
static struct report collect_reports(int process)
{
	struct report report = {0}, one;
	bool executed = false, born = false;

	while (!executed || (report.forked && !born)) {
		one = next_report(process);
		if (one.born) {
			born = true;
			pidfds[one.process] = open_pidfd(shared->pid[one.process]);
		} else {
			executed = true;
			report = one;
		}
	}
	if (report.leaving)
		await_exit(process);
	return report;
}

static void conduct(int process)
{
	long before[COUNTERS], after[COUNTERS];
	struct report report;

	settle();
	count_vmstat(before);
	if (write(turn[process][1], "", 1) != 1)
		fail("cannot give the turn to a process: ");
	report = collect_reports(process);
	settle();
	count_vmstat(after);
	printf("{\"step\":\"%s\",\"errno\":%d,\"counters\":{\"minflt\":%ld,\"majflt\":%ld",
	       step_path, report.error, report.minflt, report.majflt);
	for (size_t i = 0; i < COUNTERS; i++)
		if (after[i] >= 0)
			printf(",\"%s\":%ld", counters[i], after[i] - before[i]);
	printf(",\"uffd_wp\":%ld,\"sigsegv\":%ld},", report.uffd_wp, report.sigsegv);
	print_page_maps();
	printf("}\n");
	fflush(stdout);
}

static bool begin(int process, const char *path, ...)
{
	va_list arguments;

	steps++;
	if (me != CONTROLLER)
		return me == process && wait_for_turn();
	va_start(arguments, path);
	vsnprintf(step_path, sizeof(step_path), path, arguments);
	va_end(arguments);
	conduct(process);
	return false;
}

/* The kernel, and whether the scenario can run on it. */

static bool has_soft_dirty(void)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	*(volatile char *)shared = 0;
	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)shared / page_size * 8) != 8)
		fail("cannot read pagemap: ");
	close(fd);
	return entry & PM_SOFT_DIRTY;
}

static void print_swap(void)
{
	char *save = NULL, *line, name[256];
	unsigned long size, used;

	read_path("/proc/swaps");
	printf(",\"swap\":[");
	strtok_r(text, "\n", &save);
	while ((line = strtok_r(NULL, "\n", &save)) && device_count < MAX_DEVICES) {
		if (sscanf(line, "%255s %*s %lu %lu", name, &size, &used) != 3)
			continue;
		printf("%s{\"device\":\"%s\",\"size\":%lu,\"used\":%lu}", device_count ? "," : "",
		       name, size * KiB, used * KiB);
		snprintf(devices[device_count++], sizeof(*devices),
			 "/sys/class/block/%.64s/inflight", strrchr(name, '/') + 1);
	}
	printf("]");
}

static void print_facts(bool soft_dirty, bool uffd_wp)
{
	const char *comma = "";
	struct utsname kernel;
	long values[COUNTERS];

	uname(&kernel);
	printf("{\"schema\":\"swaptrace.observed/1\",\"kernel\":\"%.*s\",\"release\":\"%s\"",
	       (int)strspn(kernel.release, "0123456789."), kernel.release, kernel.release);
	printf(",\"smp\":%s,\"arch\":\"%s\",\"page_size\":%zu,\"page_cluster\":%d",
	       strstr(kernel.version, " SMP") ? "true" : "false", kernel.machine, page_size,
	       atoi(read_path("/proc/sys/vm/page-cluster")));
	printf(",\"soft_dirty\":%s,\"uffd_wp\":%s", soft_dirty ? "true" : "false",
	       uffd_wp ? "true" : "false");
	printf(",\"zswap\":%s",
	       *read_path("/sys/module/zswap/parameters/enabled") == 'Y' ? "true" : "false");
	print_swap();
	printf(",\"counters\":[");
	count_vmstat(values);
	for (size_t i = 0; i < COUNTERS; i++) {
		if (values[i] >= 0) {
			printf("%s\"%s\"", comma, counters[i]);
			comma = ",";
		}
	}
	printf("]}\n");
	fflush(stdout);
}

static void check_memory(void)
{
	struct rlimit lock;
	unsigned long free_bytes;
	char why[128];

	free_bytes = value_of(read_path("/proc/meminfo"), "MemAvailable") * KiB;
	if (needed_bytes > free_bytes) {
		snprintf(why, sizeof(why), "it maps %lu MiB and %lu MiB of memory are available",
			 needed_bytes / MiB, free_bytes / MiB);
		skip(why);
	}
	getrlimit(RLIMIT_MEMLOCK, &lock);
	lock.rlim_cur = lock.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &lock);
	if (NEEDS_MLOCK && geteuid() && lock.rlim_cur < needed_bytes)
		skip("the limit of locked memory (RLIMIT_MEMLOCK) is too low for mlock");
}

static void check_kernel(void)
{
	bool soft_dirty = has_soft_dirty(), uffd_wp = open_uffd();
	char why[128];

	snprintf(why, sizeof(why), "no userfaultfd with write-protection: %s", strerror(errno));
	print_facts(soft_dirty, uffd_wp);
	if (page_size != EXPECTED_PAGE_SIZE) {
		snprintf(why, sizeof(why), "its pages have %lu bytes, those of the kernel %zu",
			 EXPECTED_PAGE_SIZE, page_size);
		skip(why);
	}
	if (!device_count)
		skip("no swap area is active");
	if (NEEDS_SOFT_DIRTY && !soft_dirty)
		skip("the kernel has no soft-dirty bits (CONFIG_MEM_SOFT_DIRTY)");
	if (NEEDS_UFFD && !uffd_wp)
		skip(why);
	check_memory();
	if (madvise(shared, page_size, MADV_POPULATE_WRITE))
		skip("the kernel has no MADV_POPULATE_WRITE (Linux 5.14)");
	if (uffd >= 0)
		close(uffd);
	uffd = -1;
}

static void use_one_cpu(void)
{
	cpu_set_t allowed, one;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++)
		if (CPU_ISSET(cpu, &allowed))
			CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		fail("cannot stay on one CPU: ");
}

static void set_up(void)
{
	size_t size = (sizeof(*shared) + page_size - 1) & -page_size;

	use_one_cpu();
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	idle = mmap(NULL, page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	vmstat_fd = open("/proc/vmstat", O_RDONLY);
	if (shared == MAP_FAILED || idle == MAP_FAILED || vmstat_fd < 0 || pipe(reports))
		fail("cannot set up: ");
	for (int p = 0; p < PROCESSES; p++)
		if (pipe(turn[p]))
			fail("cannot make a pipe: ");
}

static void become_main(void)
{
	struct sigaction fault = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};

	for (int p = 0; p < PROCESSES; p++)
		close(turn[p][1]);	/* reading ends when the controller has gone */
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	signal(SIGCHLD, SIG_IGN);	/* children are reaped at once */
	start_process(0);
	grow_stack();
	learn_mappings();
	note.born = true;
	send_report();
	scenario();
	wait_for_byte();		/* the last page maps are still to be read */
	_exit(0);
}

int main(void)
{
	pid_t pid;

	page_size = sysconf(_SC_PAGESIZE);
	set_up();
	check_kernel();
	pid = fork();
	if (pid < 0)
		fail("cannot fork: ");
	if (pid == 0)
		become_main();
	pidfds[0] = open_pidfd(pid);
	next_report(0);			/* it is ready */
	scenario();
	for (int p = 0; p < PROCESSES; p++)
		close(turn[p][1]);
	for (int p = 0; p < PROCESSES; p++)
		if (shared->pid[p])
			await_exit(p);
	return 0;
}
