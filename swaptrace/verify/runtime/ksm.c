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
