/* The controller: whose turn it is, what was counted meanwhile, and the page maps. */

/* Of what, it has said itself, or says its parent if that is this process. */
static void tell_death(pid_t pid)
{
	char where[sizeof(step_path) + sizeof(shared->cause)];
	siginfo_t ended;

	if (!*shared->cause && !waitid(P_PID, pid, &ended, WEXITED | WNOWAIT) &&
	    ended.si_code != CLD_EXITED)
		snprintf(shared->cause, sizeof(shared->cause), ": %s", strsignal(ended.si_status));
	snprintf(where, sizeof(where), "%s%s", step_path, shared->cause);
	end_with("failed", "a process died in step ", where, 1);
}

static struct report next_report(int process)
{
	struct pollfd wanted[2] = {{reports[0], POLLIN, 0}, {pidfds[process], POLLIN, 0}};
	struct report report;

	while (poll(wanted, 2, -1) < 0 && errno == EINTR)
		;
	if (!(wanted[0].revents & POLLIN))
		tell_death(shared->pid[process]);
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
	if (LIMIT)
		read_text(refresh_fd);	/* what CPUs have of their own, added up */
	read_text(vmstat_fd);
	for (size_t i = 0; i < COUNTERS; i++) {
		if (counters[i].in_vmstat)
			values[i] = value_of(text, counters[i].in_vmstat);
		if (counters[i].besides)
			values[i] += value_of(text, counters[i].besides);
	}
	for (size_t i = 0; i < COUNTERS; i++)
		if (counters[i].of_sizes)
			values[i] = sum_of_sizes(counters[i].of_sizes);
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

static void print_run(FILE *out, size_t length, uint64_t entry, const char *after)
{
	char flags[8] = "";

	append_flags(flags, entry);
	fprintf(out, "%zu%s%s", length, *flags ? flags : "-", after);
}

static void write_page_map(FILE *out, int fd, struct region region, uint64_t shown)
{
	static uint64_t entries[4 * KiB];
	size_t first = (uintptr_t)region.start / page_size, pages = region.size / page_size;
	size_t run = 0, length;
	uint64_t before = 0;

	for (size_t done = 0; done < pages; done += length) {
		length = pages - done < 4 * KiB ? pages - done : 4 * KiB;
		if (pread(fd, entries, length * 8, (first + done) * 8) != (ssize_t)length * 8)
			fail("cannot read pagemap: ");
		for (size_t i = 0; i < length; i++, run++) {
			uint64_t entry = entries[i] & shown;

			if (run && entry != before) {
				print_run(out, run, before, ",");
				run = 0;
			}
			before = entry;
		}
	}
	print_run(out, run, before, "");
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
			write_page_map(stdout, fd, shared->regions[p][r], PM_SHOWN);
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

/* What was counted since the last step, when no process of this program swaps anything. */
static void print_elsewhere(const long *now)
{
	const char *between = "";

	printf("\"elsewhere\":{");
	for (size_t i = 0; i < COUNTERS; i++) {
		if (now[i] == counted[i])
			continue;
		printf("%s\"%s\":%ld", between, counters[i].name, now[i] - counted[i]);
		between = ",";
	}
	printf("},");
}

/* Ends: the address that a region needs is taken in every process of this program. */
static void skip_unmapped(struct report report)
{
	static char why[512];

	snprintf(why, sizeof(why), "region %s cannot lie at %#lx in the program: %s",
		 region_names[report.unmapped - 1], report.address, strerror(report.error));
	skip(why);
}

static void conduct(int process)
{
	long before[COUNTERS], after[COUNTERS];
	struct report report;

	quiet();
	count_vmstat(before);
	if (write(turn[process][1], "", 1) != 1)
		fail("cannot give the turn to a process: ");
	report = collect_reports(process);
	if (report.missing)
		skip(report.missing);
	if (report.unmapped)
		skip_unmapped(report);
	quiet();
	count_vmstat(after);
	in_line = true;
	printf("{\"step\":\"%s\",\"errno\":%d,\"counters\":{\"minflt\":%ld,\"majflt\":%ld",
	       step_path, report.error, report.minflt, report.majflt);
	for (size_t i = 0; i < COUNTERS; i++)
		if (after[i] >= 0)
			printf(",\"%s\":%ld", counters[i].name, after[i] - before[i]);
	printf(",\"uffd_wp\":%ld,\"uffd_rwp\":%ld,\"uffd_missing\":%ld,\"sigsegv\":%ld,"
	       "\"sigbus\":%ld},", report.uffd_wp, report.uffd_rwp, report.uffd_missing,
	       report.sigsegv, report.sigbus);
	if (report.scanned)
		print_scan(process);
	print_elsewhere(before);
	memcpy(counted, after, sizeof(counted));
	print_page_maps();
	printf("}\n");
	fflush(stdout);
	in_line = false;
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
