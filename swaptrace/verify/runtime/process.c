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

	if (NEEDS_UFFD)
		announce_fork(child);
	memcpy(shared->regions[child], shared->regions[me], sizeof(shared->regions[me]));
	memcpy(shared->data[child], shared->data[me], sizeof(shared->data[me]));
	for (int i = 0; i < REGIONS; i++)
		if (!inherits(shared->regions[me][i].context))
			shared->regions[child][i].registered = false;
	pid = fork();
	if (pid < 0)
		fail("cannot fork: ");
	note.uncounted = true;
	if (pid) {
		note.forked = true;
		if (NEEDS_UFFD)
			hand_over(child);
		return;
	}
	forget_pins();
	unlocked_child();
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
	if (!LIMIT) {			/* else it was touched once and for all */
		touch_own_memory();
		flush_tlb();
	}
	quiet();
	memset(&note, 0, sizeof(note));
	if (LIMIT)
		provide_bytes();
	memcpy(events_before, (void *)events, sizeof(events));
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
		note.uffd_wp = events[PROTECTED] - events_before[PROTECTED];
		note.uffd_rwp = events[READ_PROTECTED] - events_before[READ_PROTECTED];
		note.uffd_missing = events[MISSING] - events_before[MISSING];
	}
	send_report();
	return false;
}

/* Advice on another process's memory, or by the same system call on one's own. */
static int madvise_process(int process, int region, size_t offset, size_t length, int advice)
{
	struct iovec range = {shared->regions[process][region].start + offset, length};
	int fd = syscall(SYS_pidfd_open, shared->pid[process], 0), error;
	long done;

	if (fd < 0)
		fail("pidfd_open: ");
	done = syscall(SYS_process_madvise, fd, &range, 1UL, advice, 0);
	error = errno;
	close(fd);
	errno = error;
	return done == (long)length ? 0 : -1;
}
