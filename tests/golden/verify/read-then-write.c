/*
 * read-then-write, as a program. It needs a swap area (zram, page-cluster 3) and prints, as JSON
 * lines, what the kernel counts in each step and the page maps after it. To build and run:
 *
 *     cc -std=c11 -O1 -ffp-contract=off -Wall -Wextra -pthread scenario.c -o scenario
 *     ./scenario
 *
 * The scenario:
 *
 *     # Does a page that was swapped out take one fault or two when it is read first and then
 *     # written?
 *     #
 *     # Before the patch two: the read takes a major fault and maps the page read-only, and the
 *     # write takes a minor fault in do_wp_page(), which finds that the page may be reused. Under
 *     # every draft of the patch the read makes the PTE writable, and the minor fault is gone. This
 *     # is the microbenchmark that was posted with the patch.
 *     name: read-then-write
 *     description: Swap a private buffer out, then read and write back every page.
 *     machine:
 *       swap: zram
 *     steps:
 *       - mmap: buf
 *         size: 2MiB
 *       - memset: buf
 *         value: 0x11
 *       - madvise: buf
 *         advice: MADV_PAGEOUT
 *       - measure: read_write_data
 *         steps:
 *           - read_write: buf
 *     expect:
 *       read_write_data:
 *         prepatch: {minflt: 512, majflt: 512, wp_reuse: 512}
 *         rfc: {minflt: 0, majflt: 512, wp_reuse: 0}
 *         rework: {minflt: 0, majflt: 512, wp_reuse: 0}
 *         suggested: {minflt: 0, majflt: 512, wp_reuse: 0}
 *         simple: {minflt: 0, majflt: 512, wp_reuse: 0}
 *         final: {minflt: 0, majflt: 512, wp_reuse: 0}
 *         merged: {minflt: 0, majflt: 512, wp_reuse: 0}
 */

/* runtime/steps.h */

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
enum { P_main, PROCESSES };
enum { R_buf, REGIONS };
static const char *const process_names[] = { "main" };
static const char *const region_names[] = { "buf" };
#define EXPECTED_PAGE_SIZE 4096UL
#define WAITS_FOR_IO 0
#define NEEDS_SOFT_DIRTY 0
#define NEEDS_UFFD 0
#define NEEDS_MLOCK 0
#define LONGEST_SHUFFLE 1
#define MOST_RANKS 1
static const unsigned long needed_bytes = 2 * MiB;

static void scenario(void)
{
	STEP(P_main, "0")
		map(R_buf, 2 * MiB, PROT_READ | PROT_WRITE, ANYWHERE);
	STEP(P_main, "1")
		fill(R_buf, 0, 2 * MiB, 0x11);
	STEP(P_main, "2")
		call(madvise(at(R_buf, 0), 2 * MiB, MADV_PAGEOUT));
	{	/* measure: read_write_data */
		STEP(P_main, "3.0")
			read_write_each(R_buf, 0, 2 * MiB, 4 * KiB, FORWARD);
	}
}

/* runtime/base.c */

/* runtime/memory.c */

/* runtime/random.c */

/* runtime/access.c */

/* runtime/process.c */

/* runtime/controller.c */

/* runtime/main.c */
