#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_register 427
#endif

#define KiB (1UL << 10)
#define MiB (1UL << 20)
#define GiB (1UL << 30)
#define TiB (1UL << 40)
#define UNUSED __attribute__((unused))

/*
 * What a step is made of. STEP(process, path) statement: the process executes the statement, and
 * what the kernel counted meanwhile is printed. Ranges are a region, an offset and a length.
 */
#define STEP(process, ...) for (bool mine = begin(process, __VA_ARGS__); mine; mine = end())

#define ANYWHERE 0UL			/* the address is not given */
#define OVER (1UL << 63)		/* in the place of a part of the region, from an offset on */
#define FORWARD (-1LL)
#define BACKWARD (-2LL)
#define RANDOM(seed) ((long long)(seed))
#define FRESH (-1)			/* a byte that is not zero, another for each step and page */

/* Accesses to the pages of a range; of each 2^32, so many are writes, and to hot pages. */
struct pattern {
	enum { SEQUENTIAL, UNIFORM, ZIPF, HOT } kind;
	uint64_t count, seed, writes_below;
	double exponent;		/* of ZIPF */
	uint64_t hot_pages, hot_below;	/* of HOT */
};

/*
 * CHECK(process, line, path) { claims } holds what the scenario says at this place against what is
 * there: page maps, and data in runs of pages. That changes nothing.
 */
#define CHECK(process, line, ...) \
	for (bool mine = begin_check(process, line, __VA_ARGS__); mine; mine = end_check())

#define UNCHANGED (-1)			/* what the process wrote last, or inherited */
#define UNMAPPED (-2)
#define UNREAD (-3)
#define ALL_PAGES SIZE_MAX

struct run {
	size_t pages;
	int value;			/* a byte, UNCHANGED, or UNMAPPED */
};
#define RUN(pages, value) ((struct run){pages, value})

struct scan_arg {			/* struct pm_scan_arg; vec: whether there is a buffer */
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

struct context {			/* a way to use userfaultfd */
	uint64_t features;
	int fill;			/* the byte of the pages that its handler gives */
};

struct record {				/* an access of a trace */
	uint32_t page;
	uint16_t region;
	uint16_t write;
};

static bool begin(int process, const char *path, ...) __attribute__((format(printf, 2, 3)));
static bool end(void);
static void map(int region, size_t size, int prot, int flags, unsigned long at) UNUSED;
static int remap(int region, size_t size, int flags, unsigned long to, int as) UNUSED;
static void map_file(int region, size_t size, int prot, int flags, unsigned long at,
		     int file, size_t offset, size_t length) UNUSED;
static char *at(int region, size_t offset) UNUSED;
static void call(int result) UNUSED;	/* notes the errno of a system call that failed */
static int madvise_process(int process, int region, size_t offset, size_t length,
			   int advice) UNUSED;
static int lock_all(int flags) UNUSED;
static int unlock_all(void) UNUSED;
static void fill(int region, size_t offset, size_t length, int byte) UNUSED;
static void read_each(int region, size_t offset, size_t length, size_t stride,
		      long long order) UNUSED;
static void write_each(int region, size_t offset, size_t length, size_t stride,
		       long long order, int byte) UNUSED;
static void read_write_each(int region, size_t offset, size_t length, size_t stride,
			    long long order) UNUSED;
static void access_pages(int region, size_t offset, size_t length, struct pattern of) UNUSED;
static void replay_trace(const struct record *records, size_t count) UNUSED;
static int uffd_register(int region, size_t offset, size_t length, int context, uint64_t mode) UNUSED;
static int pagemap_scan(int region, size_t offset, size_t length, struct scan_arg scan) UNUSED;
static int poke(int region, size_t offset, size_t length, int byte) UNUSED;
static int migrate(char *start, size_t length) UNUSED;
static int in_memory(int region, size_t offset, size_t length, bool buffer) UNUSED;
static void expect_scan(const char *expected, long regions, long walk_end,
			const char *pages) UNUSED;
static int uffd_unregister(int region, size_t offset, size_t length) UNUSED;
static int uffd_copy(int region, size_t offset, size_t length, int byte, uint64_t mode) UNUSED;
static int uffd_zeropage(int region, size_t offset, size_t length) UNUSED;
static int uffd_writeprotect(int region, size_t offset, size_t length, bool protect) UNUSED;
static int uffd_rwprotect(int region, size_t offset, size_t length, bool protect) UNUSED;
static void clear_soft_dirty(void) UNUSED;
static bool begin_check(int process, int line, const char *path, ...)
	__attribute__((format(printf, 3, 4))) UNUSED;
static bool end_check(void) UNUSED;
static void only_of(bool before, bool since) UNUSED;
static void expect_vmas(int region, const char *expected) UNUSED;
static void expect_pages(int region, const char *expected, bool soft_dirty) UNUSED;
static void expect_data(int region, const char *expected, struct run claimed, ...) UNUSED;
static void now_zero(int region, size_t offset, size_t length) UNUSED;
static void maybe_zero(int region, size_t offset, size_t length) UNUSED;
static void removed(int region, size_t offset, size_t length) UNUSED;
static int pin_longterm(int region, size_t offset, size_t length) UNUSED;
static int pin_longterm_read(int region, size_t offset, size_t length) UNUSED;
static int pin_get(int region, size_t offset, size_t length) UNUSED;
static void unpin(int region) UNUSED;
static void ksm_scan(int zero_pages) UNUSED;
static void memory_merge(int on) UNUSED;
static void fork_process(int child) UNUSED;
static void exit_process(void) UNUSED;
