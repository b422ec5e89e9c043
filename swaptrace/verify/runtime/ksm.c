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

/* A scan goes over all pages at once, so that the next one begins at the first. */
static void ksm_scan(void)
{
	static const struct {
		const char *path;
		long value;
	} during[] = {
		{KSM "smart_scan", 0},
		{KSM "use_zero_pages", 0},
		{KSM "pages_to_scan", 100000000},
		{KSM "sleep_millisecs", 1},
	};
	enum { SETTINGS = sizeof(during) / sizeof(*during), SCANS = 8 };
	long before[SETTINGS], begun = ksm_setting(KSM "full_scans");

	for (int i = 0; i < SETTINGS; i++) {
		before[i] = ksm_setting(during[i].path);
		set_ksm(during[i].path, during[i].value);
	}
	while (ksm_setting(KSM "full_scans") < begun + SCANS) {
		set_ksm(KSM "run", 1);
		usleep(1000);
	}
	set_ksm(KSM "run", 0);
	for (int i = 0; i < SETTINGS; i++)
		set_ksm(during[i].path, before[i]);
	note.uncounted = true;
	settle();
}
