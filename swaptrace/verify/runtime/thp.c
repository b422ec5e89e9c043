/*
 * Large folios. Their sizes are set as the scenario has them. A process of its own, which none of the
 * signals that end a program reaches, puts back what there was.
 */
#define HOTPLUG "/sys/devices/system/cpu/hotplug/states"	/* zswap adds its own when it is first on */
#define THP "/sys/kernel/mm/transparent_hugepage/hugepages-%dkB/%s"

static char sizes_before[THP_SIZES][16];
static int keeper_pipe = -1;
static pid_t keeper;

static const char *thp_path(int size, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), THP, thp_sizes[size].kib, file);
	return path;
}

/* Empty where the kernel has no folios of that size. */
static void read_enabled(int size, char *word)
{
	const char *begin = strchr(read_path(thp_path(size, "enabled")), '[');

	*word = 0;
	if (begin)
		sscanf(begin, "[%15[^]]", word);
}

static bool write_enabled(int size, const char *word)
{
	int fd = open(thp_path(size, "enabled"), O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, word, strlen(word)) > 0;

	if (fd >= 0)
		close(fd);
	return written;
}

/* Until all that have the other end of the pipe are gone, of whatever they died. */
static void keep_sizes(int pipe)
{
	char word[16], byte;

	setsid();
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_IGN);
	while (read(pipe, &byte, 1) < 0 && errno == EINTR)
		;
	for (int i = 0; i < THP_SIZES; i++) {
		read_enabled(i, word);
		if (*word && !strcmp(word, thp_sizes[i].enabled))
			write_enabled(i, sizes_before[i]);
	}
	_exit(0);
}

static void start_keeper(void)
{
	int ends[2];

	if (pipe(ends))
		fail("cannot set up: ");
	keeper = fork();
	if (keeper < 0)
		fail("cannot fork: ");
	if (!keeper) {
		close(ends[1]);
		for (int p = 0; p < PROCESSES; p++)
			close(turn[p][1]);	/* the end of the others is to be seen */
		keep_sizes(ends[0]);
	}
	close(ends[0]);
	keeper_pipe = ends[1];
}

static void put_sizes_back(void)
{
	if (keeper_pipe < 0)
		return;
	close(keeper_pipe);
	waitpid(keeper, NULL, 0);
}

static void set_sizes(void)
{
	const char *wanted;
	bool others = false;

	for (int i = 0; LARGE_FOLIOS && i < THP_SIZES; i++) {
		wanted = thp_sizes[i].enabled;
		read_enabled(i, sizes_before[i]);
		if (!*sizes_before[i] && strcmp(wanted, "never"))
			end_with("skip", "the kernel has no large folios of ", thp_sizes[i].name, SKIP);
		others = others || (*sizes_before[i] && strcmp(sizes_before[i], wanted));
	}
	if (others)
		start_keeper();
	for (int i = 0; others && i < THP_SIZES; i++) {
		wanted = thp_sizes[i].enabled;
		if (*sizes_before[i] && strcmp(sizes_before[i], wanted) && !write_enabled(i, wanted))
			end_with("skip", "the sizes of large folios are set by root alone: ",
				 thp_path(i, "enabled"), SKIP);
	}
}

static void print_sizes(void)
{
	const char *comma = "";
	char word[16];

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
