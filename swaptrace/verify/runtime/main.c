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
		for (char *c = name; *c; c++)
			if (*c == '"' || *c == '\\')
				*c = '?';
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

	uname(&kernel);
	printf("{\"schema\":\"swaptrace.observed/1\",\"kernel\":\"%.*s\",\"release\":\"%s\"",
	       (int)strspn(kernel.release, "0123456789."), kernel.release, kernel.release);
	printf(",\"smp\":%s,\"arch\":\"%s\",\"page_size\":%zu,\"page_cluster\":%d",
	       strstr(kernel.version, " SMP") ? "true" : "false", kernel.machine, page_size,
	       atoi(read_path("/proc/sys/vm/page-cluster")));
	printf(",\"soft_dirty\":%s,\"uffd_wp\":%s", soft_dirty ? "true" : "false",
	       uffd_wp ? "true" : "false");
	printf(",\"ksm\":%s", has_ksm() ? "true" : "false");
	printf(",\"zswap\":%s",
	       *read_path("/sys/module/zswap/parameters/enabled") == 'Y' ? "true" : "false");
	print_swap();
	print_sizes();
	if (LIMIT)
		printf(",\"lru_gen\":%ld,\"swappiness\":%d",
		       strtol(read_path("/sys/kernel/mm/lru_gen/enabled"), NULL, 0),
		       atoi(read_path("/proc/sys/vm/swappiness")));
	printf(",\"counters\":[");
	count_vmstat(counted);
	for (size_t i = 0; i < COUNTERS; i++) {
		if (counted[i] >= 0) {
			printf("%s\"%s\"", comma, counters[i].name);
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
		snprintf(why, sizeof(why), "it touches %lu MiB and %lu MiB of memory are available",
			 needed_bytes / MiB, free_bytes / MiB);
		skip(why);
	}
	getrlimit(RLIMIT_MEMLOCK, &lock);
	lock.rlim_cur = lock.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &lock);
	if (NEEDS_MLOCKALL && geteuid() && lock.rlim_cur != RLIM_INFINITY)
		skip("the limit of locked memory (RLIMIT_MEMLOCK) is too low for mlockall");
	if (NEEDS_MLOCK && geteuid() && lock.rlim_cur < needed_bytes)
		skip("the limit of locked memory (RLIMIT_MEMLOCK) is too low for mlock");
}

/* How far mappings with MAP_GROWSDOWN may grow. */
static void limit_stack(void)
{
	struct rlimit stack;

	getrlimit(RLIMIT_STACK, &stack);
	stack.rlim_cur = 8 * MiB;
	if (setrlimit(RLIMIT_STACK, &stack))
		skip("the limit of the stack (RLIMIT_STACK) is below 8 MiB");
}

static long huge_pages(const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-2048kB/%s", file);
	return atol(read_path(path));
}

static void check_huge_pages(void)
{
	char why[128];

	if (HUGE_PAGES < 0 || (huge_pages("nr_hugepages") == HUGE_PAGES &&
			       huge_pages("free_hugepages") == HUGE_PAGES &&
			       !huge_pages("resv_hugepages") &&
			       !huge_pages("nr_overcommit_hugepages")))
		return;
	snprintf(why, sizeof(why), "vm.nr_hugepages must be %d, all free, and no surplus allowed",
		 HUGE_PAGES);
	skip(why);
}

static void check_kernel(void)
{
	bool soft_dirty = has_soft_dirty(), uffd_wp = has_uffd(contexts[0].features);
	char why[128];

	snprintf(why, sizeof(why), "no userfaultfd with write-protection: %s", strerror(errno));
	print_facts(soft_dirty, uffd_wp);
	if (page_size != EXPECTED_PAGE_SIZE) {
		snprintf(why, sizeof(why), "its pages have %lu bytes, those of the kernel %zu",
			 EXPECTED_PAGE_SIZE, page_size);
		skip(why);
	}
	if (!device_count && !WITHOUT_SWAP)
		skip("no swap area is active");
	if (device_count && WITHOUT_SWAP)
		skip("it wants a machine without swap, and a swap area is active");
	if (NEEDS_SOFT_DIRTY && !soft_dirty)
		skip("the kernel has no soft-dirty bits (CONFIG_MEM_SOFT_DIRTY)");
	if (NEEDS_UFFD && !uffd_wp)
		skip(why);
	if (NEEDS_UFFD && !has_all_uffds())
		skip("the kernel has no userfaultfd with these features, or forbids it");
	if (NEEDS_GUP_TEST && access(GUP_TEST, W_OK) && !has_uffd(0))
		skip("the kernel has no pins for reading (CONFIG_GUP_TEST, and debugfs mounted)");
	if (NEEDS_PINS && !has_io_uring())
		skip("the kernel has no io_uring for pins, or forbids it");
	if (NEEDS_FORCE && !forces_writes())
		skip("the kernel writes only what the process could write itself "
		     "(CONFIG_PROC_MEM_ALWAYS_FORCE, proc_mem.force_override=always)");
	if (NEEDS_KSM && !has_ksm())
		skip("the kernel has no KSM, or only root may start it (/sys/kernel/mm/ksm)");
	check_huge_pages();
	check_memory();
	limit_stack();
	if (madvise(shared, page_size, MADV_POPULATE_WRITE))
		skip("the kernel has no MADV_POPULATE_WRITE (Linux 5.14)");
	for (int p = 0; p < PROCESSES; p++)
		if (pipe(turn[p]))
			skip("it has more processes than there can be pipes");
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
	flipped = mmap(NULL, FLIPPED * page_size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	vmstat_fd = open("/proc/vmstat", O_RDONLY);
	if (shared == MAP_FAILED || idle == MAP_FAILED || flipped == MAP_FAILED || vmstat_fd < 0 ||
	    pipe(reports))
		fail("cannot set up: ");
	open_files();
}

static void become_main(pid_t controller)
{
	struct sigaction fault = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};

	die_with(controller);
	leave_to_controller();
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
	signal(SIGCHLD, SIG_IGN);	/* children are reaped at once */
	start_process(0);
	grow_stack();
	learn_mappings();
	obey_limit();
	allow_large_folios();
	if (LIMIT)
		touch_own_memory();
	take_the_cpu();
	note.born = true;
	send_report();
	scenario();
	wait_for_byte();		/* the last page maps are still to be read */
	_exit(0);
}

/* Put back at the end, whatever that is. */
static void set_machine(void)
{
	if (!LARGE_FOLIOS && !NEEDS_KSM)
		return;
	await_keepers();
	keep_sizes();
	keep_ksm();
	start_keeper();
	set_sizes();
	if (LARGE_FOLIOS)
		occupy_khugepaged();
	if (NEEDS_KSM)
		set_ksm(KSM "run", 0);
}

int main(int count UNUSED, char **arguments)
{
	pid_t pid, controller = getpid();

	page_size = sysconf(_SC_PAGESIZE);
	set_up();
	check_kernel();
	set_machine();
	set_up_limit(arguments[1]);
	let_others_wait();
	pid = fork();
	if (pid < 0)
		fail("cannot fork: ");
	if (pid == 0)
		become_main(controller);
	pidfds[0] = open_pidfd(pid);
	next_report(0);			/* it is ready */
	limit_process(pid);
	if (NEEDS_KSM)
		keep_ksmd_awake();
	scenario();
	for (int p = 0; p < PROCESSES; p++)
		close(turn[p][1]);
	for (int p = 0; p < PROCESSES; p++)
		if (shared->pid[p])
			await_exit(p);
	if (*unmet)
		end_with("failed", "a check does not hold: ", unmet, 1);
	put_back();
	return 0;
}
