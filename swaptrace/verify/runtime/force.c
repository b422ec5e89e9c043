/* Memory that is changed without an access. */

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

