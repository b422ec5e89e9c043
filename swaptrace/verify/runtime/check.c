/* Checks: the controller holds what the scenario claims against the page maps and the memory. */

static int checked;			/* the process that a check is of */
static int check_line;
static bool check_applies;		/* to this kernel */
static const char *between_checks;
static char unmet[512];			/* the first claim that does not hold */

static bool is_mapped(pid_t pid, const char *address)
{
	unsigned long start, limit;
	char path[64], line[512];
	bool found = false;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (maps && !found && fgets(line, sizeof(line), maps))
		found = sscanf(line, "%lx-%lx", &start, &limit) == 2 &&
			start <= (uintptr_t)address && (uintptr_t)address < limit;
	if (maps)
		fclose(maps);
	return found;
}

static int open_of(pid_t pid, const char *file)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("cannot open the memory of a process: ");
	return fd;
}

static bool begin_check(int process, int line, const char *path, ...)
{
	va_list arguments;
	long now[COUNTERS];

	steps++;
	if (me != CONTROLLER)
		return false;
	va_start(arguments, path);
	vsnprintf(step_path, sizeof(step_path), path, arguments);
	va_end(arguments);
	checked = process;
	check_line = line;
	check_applies = true;
	between_checks = "";
	count_vmstat(now);
	in_line = true;
	printf("{\"step\":\"%s\",\"errno\":0,\"counters\":{},", step_path);
	print_elsewhere(now);
	memcpy(counted, now, sizeof(counted));
	printf("\"checks\":[");
	return true;
}

static bool end_check(void)
{
	printf("],");
	print_page_maps();
	printf("}\n");
	fflush(stdout);
	in_line = false;
	return false;
}

/* The claims that follow are made of kernels before 6.11, or from it on. */
static void only_of(bool before, bool since)
{
	struct utsname kernel;
	int major = 0, minor = 0;

	uname(&kernel);
	sscanf(kernel.release, "%d.%d", &major, &minor);
	check_applies = major > 6 || (major == 6 && minor >= 11) ? since : before;
}

static void print_check(const char *kind, int region, const char *expected, const char *actual,
			bool ok)
{
	const char *name = region < 0 ? "" : region_names[region];

	printf("%s{\"line\":%d,\"kind\":\"%s\",\"region\":\"%s\",\"expected\":\"%s\","
	       "\"actual\":\"%s\",\"applies\":%s,\"ok\":%s}", between_checks, check_line, kind,
	       name, expected, actual, check_applies ? "true" : "false",
	       ok ? "true" : "false");
	between_checks = ",";
	if (!ok && check_applies && !*unmet)
		snprintf(unmet, sizeof(unmet), "line %d, %s of %s in %s: %.150s in step %.60s, "
			 "expected %.150s", check_line, kind, name,
			 process_names[checked], actual, step_path, expected);
}

static void expect_vmas(int region, const char *expected)
{
	struct region whole = shared->regions[checked][region];
	unsigned long base = (uintptr_t)whole.start, limit = base + whole.size, done = base;
	unsigned long start, end;
	const char *comma = "";
	char path[64], line[512];
	size_t length;
	char *actual;
	FILE *maps, *out = open_memstream(&actual, &length);

	snprintf(path, sizeof(path), "/proc/%d/maps", shared->pid[checked]);
	maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2 || end <= base || start >= limit)
			continue;
		if (start > done) {
			fprintf(out, "%s%lu-", comma, (start - done) / page_size);
			comma = ",";
		}
		done = end < limit ? end : limit;
		fprintf(out, "%s%s%lu%s", comma, start < base ? "+" : "",
			(done - (start < base ? base : start)) / page_size, end > limit ? "+" : "");
		comma = ",";
	}
	if (done < limit)
		fprintf(out, "%s%lu-", comma, (limit - done) / page_size);
	if (maps)
		fclose(maps);
	fclose(out);
	print_check("vmas", region, expected, actual, !strcmp(actual, expected));
	free(actual);
}

static void expect_pages(int region, const char *expected, bool soft_dirty)
{
	uint64_t shown = soft_dirty ? PM_SHOWN : PM_SHOWN & ~PM_SOFT_DIRTY;
	int fd = open_of(shared->pid[checked], "pagemap");
	size_t length;
	char *actual;
	FILE *out = open_memstream(&actual, &length);

	write_page_map(out, fd, shared->regions[checked][region], shown);
	fclose(out);
	close(fd);
	print_check("pages", region, expected, actual, !strcmp(actual, expected));
	free(actual);
}

/* What a page of the process checked holds, of which `claimed` is said. What is in swap, or
 * only in the page cache, is not read: that would bring it here. */
static int data_of(int mem, int region, size_t page, uint64_t entry, int claimed)
{
	const char *start = shared->regions[checked][region].start + page * page_size;
	struct datum wrote = *datum(checked, region, page);
	struct region of = shared->regions[checked][region];
	unsigned char byte = 0;

	if (entry & PM_SWAP)
		return UNREAD;
	if (!(entry & PM_PRESENT) && !is_mapped(shared->pid[checked], start))
		return UNMAPPED;
	if (!(entry & PM_PRESENT) && (of.shared || of.file))
		return UNREAD;
	if (entry & PM_PRESENT && pread(mem, &byte, 1, (uintptr_t)start + wrote.at) != 1)
		fail("cannot read the memory of a process: ");
	if (claimed == UNCHANGED && (byte == wrote.value || (wrote.freed && !byte)))
		return UNCHANGED;
	return byte;
}

static void print_data(FILE *out, size_t pages, int value, const char *after)
{
	fprintf(out, "%zu:", pages);
	if (value == UNREAD)
		fputs("unread", out);
	else if (value == UNCHANGED)
		fputs("unchanged", out);
	else if (value == UNMAPPED)
		fputs("-", out);
	else if (value == 0)
		fputs("zero", out);
	else
		fprintf(out, "0x%02x", value);
	fputs(after, out);
}

/* Of what is said of the last scan of the process; -1 and NULL for nothing. */
static void expect_scan(const char *expected, long regions, long walk_end, const char *pages)
{
	const struct scan *found = &shared->scans[checked];
	char *there = scanned_pages(found), *actual;
	long ended = found->walk_end - found->start;
	bool ok = found->start && found->count >= 0;
	size_t length;
	FILE *out = open_memstream(&actual, &length);

	if (ok && regions >= 0)
		fprintf(out, "regions %d", found->count);
	if (ok && walk_end >= 0)
		fprintf(out, "%swalk_end %ld", regions >= 0 ? ", " : "", ended);
	if (ok && pages)
		fprintf(out, "%spages %s", regions >= 0 || walk_end >= 0 ? ", " : "", there);
	fputs(ok ? "" : "none", out);
	fclose(out);
	print_check("scan", -1, expected, actual, !strcmp(actual, expected));
	free(there);
	free(actual);
}

static void expect_data(int region, const char *expected, struct run claimed, ...)
{
	struct region whole = shared->regions[checked][region];
	int mem = open_of(shared->pid[checked], "mem");
	int pagemap = open_of(shared->pid[checked], "pagemap");
	size_t pages = whole.size / page_size, run = 0, length;
	int before = 0, there;
	bool ok = true;
	uint64_t entry;
	va_list more;
	char *actual;
	FILE *out = open_memstream(&actual, &length);

	va_start(more, claimed);
	for (size_t page = 0; page < pages; page++, run++, claimed.pages--) {
		if (!claimed.pages)
			claimed = va_arg(more, struct run);
		if (pread(pagemap, &entry, 8, ((uintptr_t)whole.start / page_size + page) * 8) != 8)
			fail("cannot read pagemap: ");
		there = data_of(mem, region, page, entry, claimed.value);
		ok = ok && (there == claimed.value || there == UNREAD);
		if (run && there != before) {
			print_data(out, run, before, ",");
			run = 0;
		}
		before = there;
	}
	print_data(out, run, before, "");
	va_end(more);
	fclose(out);
	close(mem);
	close(pagemap);
	print_check("data", region, expected, actual, ok);
	free(actual);
}
