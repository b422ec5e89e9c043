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

