/*
 * The first process of a guest: it loads the modules and runs the jobs of /plan, each with a fresh
 * swap area, and reports on the second serial port, where no message of the kernel comes between.
 *
 * /plan has a line for each module (`module PATH`) and each job (`job BACKEND SIZE CLUSTER MS LRU`,
 * after `huge NUMBER` where it wants huge pages), where SIZE is that of the swap area in bytes, without its header page, CLUSTER is page-cluster
 * and MS how many milliseconds the job may take. LRU is the one that the kernel is to run, `classic`
 * or `mglru`, for a job with a memory limit, which gets a memory cgroup; `-` for one without. The program
 * of job N is /jobs/N; it is given the directory of its cgroup.
 *
 * The report is what the programs print, between lines that begin with `@`:
 *
 *	@begin N		job N, counted from 0
 *	@exit CODE		the program ended
 *	@signal NUMBER		a signal killed it
 *	@timeout		it took too long
 *	@skipped REASON		there is no such swap here
 *	@failed REASON		the swap could not be set up
 *	@done			no job is left
 *
 * Every one of these but the first of a job ends it. A newline of its own precedes each `@`,
 * lest a program that was cut off swallows it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PORT "/dev/ttyS1"
#define PAGE_CLUSTER "/proc/sys/vm/page-cluster"
#define THP "/sys/kernel/mm/transparent_hugepage/enabled"
#define HUGE_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define ZRAM "/sys/block/zram0"
#define HOT_ADD "/sys/class/zram-control/hot_add"
#define DISK "/sys/block/vda"
#define ZSWAP "/sys/module/zswap/parameters/enabled"
#define CGROUPS "/cgroups"
#define CGROUP CGROUPS "/job"
#define LRU_GEN "/sys/kernel/mm/lru_gen/enabled"

#define SECTOR 512UL		/* the unit of a disk's size, whatever its own sectors are */
#define FILES (64UL << 20)	/* bytes of files that the page cache of the guest holds */
#define VERSION_AT 1024		/* union swap_header: the version, then the last page */
#define MAGIC "SWAPSPACE2"

struct job {
	char backend[16];
	unsigned long size;
	int page_cluster;
	long milliseconds;
	char lru[16];
};

static FILE *port;
static int loaded;		/* modules */
static char refused[256];	/* the module that the kernel would not load, and why */

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	fputs("\n@", port);
	vfprintf(port, format, values);
	fputs("\n", port);
	va_end(values);
	fflush(port);
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t length = strlen(text);
	bool done = fd >= 0 && write(fd, text, length) == length;
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return done;
}

static bool put_number(const char *path, unsigned long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", number);
	return put(path, text);
}

/* The first word of a file; empty where there is none. */
static const char *get(const char *path)
{
	static char word[32];
	FILE *file = fopen(path, "re");

	if (!file || fscanf(file, "%31s", word) != 1)
		*word = 0;
	if (file)
		fclose(file);
	return word;
}

/* The kernel as a program expects to find it. */

static void mount_all(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
}

static bool open_port(void)
{
	struct termios raw;
	int fd = open(PORT, O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &raw))
		return false;
	cfmakeraw(&raw);
	cfsetspeed(&raw, B115200);
	raw.c_cflag |= CLOCAL;
	if (tcsetattr(fd, TCSANOW, &raw))
		return false;
	port = fdopen(fd, "w");
	return port;
}

static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && !syscall(SYS_finit_module, fd, "", 0))
		loaded++;
	else if (errno != EEXIST && !*refused)
		snprintf(refused, sizeof(refused), "; %s is refused: %s", strrchr(path, '/') + 1,
			 strerror(errno));
	if (fd >= 0)
		close(fd);
	unlink(path);
}

/* The swap of a job. Each of these says what went wrong, or gives true. */

static bool missing(const char *what)
{
	say("skipped %s%s", what, loaded || *refused ? refused : "; there were no modules (--modules)");
	return false;
}

static bool failed(const char *what)
{
	if (errno == ENOMEM)
		say("skipped %s: the guest has too little memory (--memory)", what);
	else
		say("failed %s: %s", what, strerror(errno));
	return false;
}

static bool make_swap(const char *device, unsigned long size)
{
	size_t page_size = getpagesize();
	char *page = calloc(1, page_size);
	uint32_t *info = (uint32_t *)(page + VERSION_AT);
	int fd = open(device, O_WRONLY | O_CLOEXEC);
	bool done;

	info[0] = 1;
	info[1] = size / page_size;
	memcpy(page + page_size - strlen(MAGIC), MAGIC, strlen(MAGIC));
	done = fd >= 0 && write(fd, page, page_size) == (ssize_t)page_size && !fsync(fd);
	free(page);
	if (fd >= 0)
		close(fd);
	if (!done)
		return failed("the swap area cannot be written");
	return !swapon(device, 0) || failed("swapon");
}

static bool set_up_zram(const struct job *job)
{
	if (access(ZRAM, F_OK))
		return missing("this kernel has no zram (CONFIG_ZRAM)");
	if (!put(ZRAM "/reset", "1") || !put_number(ZRAM "/disksize", job->size + getpagesize()))
		return failed("the zram device cannot be set up");
	return make_swap("/dev/zram0", job->size);
}

static bool set_up_disk(const struct job *job)
{
	if (access(DISK, F_OK))
		return missing("this kernel has no disk here (CONFIG_VIRTIO_BLK, CONFIG_VIRTIO_PCI)");
	if (strtoul(get(DISK "/size"), NULL, 10) * SECTOR < job->size + getpagesize()) {
		say("skipped it wants a swap area larger than the disk of this guest can be");
		return false;
	}
	if (!put(DISK "/queue/rotational", "0"))
		return failed("the disk cannot be made non-rotational");
	return make_swap("/dev/vda", job->size);
}

static bool set_up_zswap(const struct job *job)
{
	if (access(ZSWAP, F_OK))
		return missing("this kernel has no zswap (CONFIG_ZSWAP)");
	if (!put(ZSWAP, "Y") || strcmp(get(ZSWAP), "Y"))
		return missing("zswap cannot be switched on: its compressor or its pool is missing");
	return set_up_disk(job);
}

/*
 * The working set of the machine, which is what MADV_PAGEOUT is noted for: it is to be large, as on any
 * machine that has files. Here they are those of another device, which stays open to keep them.
 */
static void cache_files(void)
{
	static char piece[64 << 10];
	static int fd = -1;
	char path[64], number[32];

	if (fd >= 0)
		return;
	snprintf(number, sizeof(number), "%.8s", get(HOT_ADD));
	snprintf(path, sizeof(path), "/sys/block/zram%s/disksize", number);
	if (!*number || !put_number(path, FILES))
		return;
	snprintf(path, sizeof(path), "/dev/zram%s", number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && read(fd, piece, sizeof(piece)) > 0)
		;
	get(CGROUPS "/memory.stat");	/* flushes the statistics of the root */
}

/* A kernel that has no choice keeps its LRU; the program says which it is. */
static bool set_up_limit(const struct job *job)
{
	if (!strcmp(job->lru, "-"))
		return true;
	mkdir(CGROUPS, 0755);
	if ((mount("cgroup2", CGROUPS, "cgroup2", 0, NULL) && errno != EBUSY) ||
	    !put(CGROUPS "/cgroup.subtree_control", "+memory")) {
		say("skipped this kernel has no memory cgroups (CONFIG_MEMCG)");
		return false;
	}
	put(LRU_GEN, strcmp(job->lru, "mglru") ? "n" : "y");
	cache_files();
	return !mkdir(CGROUP, 0755) || failed("the cgroup cannot be made");
}

static bool set_up(const struct job *job)
{
	if (!set_up_limit(job))
		return false;
	if (!put_number(PAGE_CLUSTER, job->page_cluster))
		return failed("page-cluster cannot be set");
	if (!strcmp(job->backend, "none"))
		return true;
	if (!strcmp(job->backend, "zram"))
		return set_up_zram(job);
	if (!strcmp(job->backend, "zswap"))
		return set_up_zswap(job);
	return set_up_disk(job);
}

static void take_down(void)
{
	swapoff("/dev/zram0");
	swapoff("/dev/vda");
	put(ZSWAP, "N");
	put(HUGE_PAGES, "0");
	rmdir(CGROUP);
}

/* Its program. */

static void execute(const char *path)
{
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	dup2(null, 0);
	dup2(fileno(port), 1);
	dup2(null, 2);
	execl(path, path, CGROUP, NULL);
	_exit(127);
}

static long remaining(const struct timespec *end)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
}

/* Waits for the program; false if it takes too long. Orphans are children of this process too. */
static bool await(pid_t program, long milliseconds, int *status)
{
	struct timespec end, wait;
	sigset_t child;
	pid_t ended;
	long left;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += milliseconds / 1000;
	end.tv_nsec += milliseconds % 1000 * 1000000;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		while ((ended = waitpid(-1, status, WNOHANG)) > 0)
			if (ended == program)
				return true;
		left = remaining(&end);
		if (left <= 0)
			return false;
		wait = (struct timespec){ left / 1000, left % 1000 * 1000000 };
		sigtimedwait(&child, NULL, &wait);
	}
}

static void run_program(int number, const struct job *job)
{
	char path[32];
	int status;
	bool ended;
	pid_t program;

	snprintf(path, sizeof(path), "/jobs/%d", number);
	program = fork();
	if (!program)
		execute(path);
	ended = await(program, job->milliseconds, &status);
	kill(-1, SIGKILL);	/* everything but this process */
	while (wait(NULL) > 0)
		;
	unlink(path);
	if (!ended)
		say("timeout");
	else if (WIFSIGNALED(status))
		say("signal %d", WTERMSIG(status));
	else
		say("exit %d", WEXITSTATUS(status));
}

int main(void)
{
	char line[512], path[256];
	struct job job;
	sigset_t child;
	int number = 0;
	FILE *plan;

	mount_all();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	plan = fopen("/plan", "re");
	if (!plan || !open_port()) {
		fprintf(stderr, "swaptrace: " PORT ": %s\n", strerror(errno));
		return 1;
	}
	put(THP, "never");
	while (fgets(line, sizeof(line), plan)) {
		if (sscanf(line, "module %255s", path) == 1) {
			load_module(path);
		} else if (sscanf(line, "huge %lu", &job.size) == 1) {
			put_number(HUGE_PAGES, job.size);
		} else if (sscanf(line, "job %15s %lu %d %ld %15s", job.backend, &job.size,
				  &job.page_cluster, &job.milliseconds, job.lru) == 5) {
			say("begin %d", number);
			if (set_up(&job))
				run_program(number, &job);
			take_down();
			number++;
		}
	}
	say("done");
	tcdrain(fileno(port));
	reboot(RB_AUTOBOOT);
}
