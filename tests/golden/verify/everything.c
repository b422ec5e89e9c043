/*
 * everything, as a program. It needs a swap area (disk, page-cluster 0) and prints, as JSON
 * lines, what the kernel counts in each step and the page maps after it. To build and run:
 *
 *     cc -std=c11 -O1 -ffp-contract=off -Wall -Wextra -pthread scenario.c -o scenario
 *     ./scenario
 *
 * The scenario:
 *
 *     machine: {swap: {backend: disk, page_cluster: 0}}
 *     steps:
 *     - {mmap: buf, size: 3MiB}
 *     - {mmap: other, size: 4KiB, prot: r}
 *     - repeat: 2
 *       steps:
 *       - {memset: buf, value: 0, length: 5000}
 *       - measure: inner
 *         steps:
 *         - repeat: 3
 *           steps:
 *           - {write: buf, stride: 6KiB, order: random, seed: 9, value: 3}
 *           - {read: buf, order: backward, offset: 100, stride: 512}
 *       - {read_write: buf, offset: 1MiB, length: 1MiB}
 *     - {clear_refs: soft_dirty}
 *     - {uffd_writeprotect: buf, length: 8KiB, wp: false}
 *     - {mprotect: other, prot: rw}
 *     - {access: buf, pattern: hot, hot_pages: 100, count: 1000, write_share: 0.25}
 *     - {access: buf, process: main, pattern: zipf, count: 500, exponent: 0.8, offset: 1MiB, seed: 3}
 *     - {mlock: other}
 *     - {munlock: other}
 *     - {madvise: buf, advice: MADV_POPULATE_WRITE}
 *     - {fork: child}
 *     - {munmap: buf, process: child, length: 4KiB}
 *     - {exit: child}
 */

/* runtime/steps.h */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
enum { P_main, P_child, PROCESSES };
enum { R_buf, R_other, REGIONS };
static const char *const process_names[] = { "main", "child" };
static const char *const region_names[] = { "buf", "other" };
#define EXPECTED_PAGE_SIZE 4096UL
#define WAITS_FOR_IO 1
#define NEEDS_SOFT_DIRTY 1
#define NEEDS_UFFD 1
#define NEEDS_MLOCK 1
#define LONGEST_SHUFFLE 768
#define MOST_RANKS 512
static const unsigned long needed_bytes = 6152 * KiB;

static void scenario(void)
{
	STEP(P_main, "0")
		map(R_buf, 3 * MiB, PROT_READ | PROT_WRITE, ANYWHERE);
	STEP(P_main, "1")
		map(R_other, 4 * KiB, PROT_READ, ANYWHERE);
	for (long i1 = 0; i1 < 2; i1++) {
		STEP(P_main, "2[%ld].0", i1)
			fill(R_buf, 0, 5000, 0x0);
		{	/* measure: inner */
			for (long i3 = 0; i3 < 3; i3++) {
				STEP(P_main, "2[%ld].1.0[%ld].0", i1, i3)
					write_each(R_buf, 0, 3 * MiB, 6 * KiB, RANDOM(9), 0x3);
				STEP(P_main, "2[%ld].1.0[%ld].1", i1, i3)
					read_each(R_buf, 100, 3145628, 512, BACKWARD);
			}
		}
		STEP(P_main, "2[%ld].2", i1)
			read_write_each(R_buf, 1 * MiB, 1 * MiB, 4 * KiB, FORWARD);
	}
	STEP(P_main, "3")
		clear_soft_dirty();
	STEP(P_main, "4")
		call(uffd_writeprotect(R_buf, 0, 8 * KiB, false));
	STEP(P_main, "5")
		call(mprotect(at(R_other, 0), 4 * KiB, PROT_READ | PROT_WRITE));
	STEP(P_main, "6")
		access_pages(R_buf, 0, 3 * MiB,
			     (struct pattern){.kind = HOT, .count = 1000, .seed = 0, .writes_below = 1073741824, .hot_pages = 100, .hot_below = 3865470566});
	STEP(P_main, "7")
		access_pages(R_buf, 1 * MiB, 2 * MiB,
			     (struct pattern){.kind = ZIPF, .count = 500, .seed = 3, .exponent = 0.8});
	STEP(P_main, "8")
		call(mlock(at(R_other, 0), 4 * KiB));
	STEP(P_main, "9")
		call(munlock(at(R_other, 0), 4 * KiB));
	STEP(P_main, "10")
		call(madvise(at(R_buf, 0), 3 * MiB, MADV_POPULATE_WRITE));
	STEP(P_main, "11")
		fork_process(P_child);
	STEP(P_child, "12")
		call(munmap(at(R_buf, 0), 4 * KiB));
	STEP(P_child, "13")
		exit_process();
}

/* runtime/base.c */

/* runtime/memory.c */

/* runtime/random.c */

/* runtime/access.c */

/* runtime/process.c */

/* runtime/controller.c */

/* runtime/main.c */
