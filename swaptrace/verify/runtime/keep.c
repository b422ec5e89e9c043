/*
 * What the program sets of the whole machine. A process of its own, which none of the signals that
 * end a program reaches, puts back what there was.
 */
#define MOST_KEPT (THP_SIZES + 8)

static struct kept {
	char path[128], before[24];
	const char *set;		/* NULL: put back whatever it is by then */
} kept[MOST_KEPT];
static int kept_count;
static int keeper_pipe = -1, keeper_lock = -1;
static pid_t keeper;

/* What one that was killed has set is put back first, or it would be kept as what there was. */
static void await_keepers(void)
{
	keeper_lock = open("/sys/kernel/mm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (keeper_lock < 0 || flock(keeper_lock, LOCK_EX))
		fail("cannot lock /sys/kernel/mm: ");
}

/* Empty where there is no such file; of several words the one in brackets. */
static void read_setting(const char *path, char *word)
{
	const char *all = read_path(path), *begin = strchr(all, '[');

	*word = 0;
	if (begin)
		sscanf(begin, "[%23[^]]", word);
	else
		sscanf(all, "%23s", word);
}

static bool write_setting(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, word, strlen(word)) > 0;

	if (fd >= 0)
		close(fd);
	return written;
}

static void keep(const char *path, const char *set)
{
	struct kept *file = &kept[kept_count];

	read_setting(path, file->before);
	if (!*file->before)
		return;
	snprintf(file->path, sizeof(file->path), "%s", path);
	file->set = set;
	kept_count++;
}

/* Until all that have the other end of a pipe have closed it, or are gone, of whatever they died. */
static void await_end(int pipe)
{
	char byte;

	while (read(pipe, &byte, 1) < 0 && errno == EINTR)
		;
}

/* In a process that is forked: these pipes end when the controller has gone. */
static void leave_to_controller(void)
{
	for (int p = 0; p < PROCESSES; p++)
		close(turn[p][1]);
	if (keeper_pipe >= 0)
		close(keeper_pipe);
}

static void die_with(pid_t controller)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != controller)
		_exit(1);
}

static void be_keeper(int pipe, int ready)
{
	char word[24];

	setsid();
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_IGN);
	close(ready);
	await_end(pipe);
	for (int i = 0; i < kept_count; i++) {
		read_setting(kept[i].path, word);
		if (!kept[i].set || !strcmp(word, kept[i].set))
			write_setting(kept[i].path, kept[i].before);
	}
	_exit(0);
}

/* To be called before anything is set: it returns when no signal to the group reaches the keeper. */
static void start_keeper(void)
{
	int ends[2], ready[2];

	if (!kept_count) {
		close(keeper_lock);
		return;
	}
	if (pipe(ends) || pipe(ready))
		fail("cannot set up: ");
	keeper = fork();
	if (keeper < 0)
		fail("cannot fork: ");
	if (!keeper) {
		close(ends[1]);
		close(ready[0]);
		leave_to_controller();
		be_keeper(ends[0], ready[1]);
	}
	close(ends[0]);
	close(ready[1]);
	await_end(ready[0]);
	close(ready[0]);
	close(keeper_lock);		/* the keeper's own holds the lock until it ends */
	keeper_pipe = ends[1];
}

static void put_back(void)
{
	if (keeper_pipe < 0)
		return;
	close(keeper_pipe);
	waitpid(keeper, NULL, 0);
}
