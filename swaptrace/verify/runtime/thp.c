/* Large folios. Their sizes are set as the scenario has them. */
#define HOTPLUG "/sys/devices/system/cpu/hotplug/states"	/* zswap adds its own when it is first on */
#define DECOY (1UL << 40)		/* bytes, of which no page is there */
#define THP "/sys/kernel/mm/transparent_hugepage/hugepages-%dkB/%s"

static const char *thp_path(int size, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), THP, thp_sizes[size].kib, file);
	return path;
}

/* Empty where the kernel has no folios of that size. */
static void read_enabled(int size, char *word)
{
	read_setting(thp_path(size, "enabled"), word);
}

/* What is as it should be needs nobody who may set it. */
static void keep_sizes(void)
{
	char word[24];

	for (int i = 0; LARGE_FOLIOS && i < THP_SIZES; i++) {
		read_enabled(i, word);
		if (!*word && strcmp(thp_sizes[i].enabled, "never"))
			end_with("skip", "the kernel has no large folios of ", thp_sizes[i].name, SKIP);
		if (strcmp(word, thp_sizes[i].enabled))
			keep(thp_path(i, "enabled"), thp_sizes[i].enabled);
	}
}

static void set_sizes(void)
{
	char word[24];

	for (int i = 0; LARGE_FOLIOS && i < THP_SIZES; i++) {
		read_enabled(i, word);
		if (*word && strcmp(word, thp_sizes[i].enabled) &&
		    !write_setting(thp_path(i, "enabled"), thp_sizes[i].enabled))
			end_with("skip", "the sizes of large folios are set by root alone: ",
				 thp_path(i, "enabled"), SKIP);
	}
}

static void be_decoy(pid_t controller, int ready)
{
	char *area = mmap(NULL, DECOY, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	die_with(controller);
	leave_to_controller();
	if (area != MAP_FAILED) {
		*(volatile char *)area = 0;	/* what never had a page is passed over */
		madvise(area, page_size, MADV_DONTNEED);
		prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
		madvise(area, DECOY, MADV_HUGEPAGE);
	}
	close(ready);
	for (;;)
		pause();
}

/*
 * khugepaged would collapse what a scenario has, whenever it comes to it. It goes from process to process,
 * in the order in which they got memory that may be huge, and every ten seconds through 4,096 pages, or
 * through as many page tables that are not there. So it does not get past a process that comes before those
 * of the scenario and has enough address space; and there is no setting to be put back.
 */
static void occupy_khugepaged(void)
{
	pid_t controller = getpid(), decoy;
	int ready[2];

	if (pipe(ready))
		return;
	decoy = fork();
	if (!decoy)
		be_decoy(controller, ready[1]);
	close(ready[1]);
	await_end(ready[0]);		/* at once if there is no decoy */
	close(ready[0]);
}

static void print_sizes(void)
{
	const char *comma = "";
	char word[24];

	printf(",\"thp\":[");
	for (int i = 0; i < THP_SIZES; i++) {
		read_enabled(i, word);
		if (!*word)
			continue;
		printf("%s\"%s\"", comma, thp_sizes[i].name);
		comma = ",";
	}
	printf("],\"zswap_never_enabled\":%s", strstr(read_path(HOTPLUG), "zswap") ? "false" : "true");
}

/* A file of hugepages-.../stats, added up over the sizes in use; -1: there is none. */
static long sum_of_sizes(const char *file)
{
	const char *found;
	long sum = -1;

	for (int i = 0; i < THP_SIZES; i++) {
		if (!strcmp(thp_sizes[i].enabled, "never"))
			continue;
		found = read_path(thp_path(i, file));
		if (*found)
			sum = (sum < 0 ? 0 : sum) + atol(found);
	}
	return sum;
}

/* The counters of sizes are those of the whole machine: the less a step waits, the less others add to them. */
static void let_others_wait(void)
{
	if (LARGE_FOLIOS && !LIMIT)
		sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1});
}

/* A process of the scenario may have large folios, but for what is its own. */
static void allow_large_folios(void)
{
	if (!LARGE_FOLIOS)
		return;
	for (int i = 0; i < mapping_count; i++)
		madvise(mappings[i].start, mappings[i].size, MADV_NOHUGEPAGE);
	prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
}

static void advise_region(char *start, size_t size)
{
	if (ADVISES_REGIONS)
		madvise(start, size, MADV_HUGEPAGE);
}
