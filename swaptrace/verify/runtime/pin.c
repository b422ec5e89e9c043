/* Pins: a buffer that an io_uring has registered, or pages that a pipe has got by vmsplice(). */

#define GUP_TEST "/sys/kernel/debug/gup_test"
static int pinned[REGIONS][2];		/* descriptors plus 1; the second one not of io_uring */

static bool has_io_uring(void)
{
	char parameters[120] = "";	/* struct io_uring_params */
	int fd = syscall(SYS_io_uring_setup, 1, parameters);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int pin_longterm(int region, size_t offset, size_t length)
{
	char parameters[120] = "";
	struct iovec range = {at(region, offset), length};
	int fd = syscall(SYS_io_uring_setup, 1, parameters), error;

	if (fd >= 0 && !syscall(SYS_io_uring_register, fd, 0 /* buffers */, &range, 1)) {
		pinned[region][0] = fd + 1;
		return 0;
	}
	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

static int pin_get(int region, size_t offset, size_t length)
{
	struct iovec left = {at(region, offset), length};
	int ends[2], error;
	ssize_t taken = 0;

	if (pipe(ends))
		fail("no pipe for the pages: ");
	if (fcntl(ends[1], F_SETPIPE_SZ, length + page_size) < 0) {
		note.missing = "there can be no pipe of so many pages (fs.pipe-max-size)";
		left.iov_len = 0;
	}
	while (left.iov_len && (taken = vmsplice(ends[1], &left, 1, SPLICE_F_NONBLOCK)) > 0) {
		left.iov_base = (char *)left.iov_base + taken;
		left.iov_len -= taken;
	}
	if (!left.iov_len) {
		pinned[region][0] = ends[0] + 1;
		pinned[region][1] = ends[1] + 1;
		return 0;
	}
	error = errno;
	close(ends[0]);
	close(ends[1]);
	errno = error;
	return -1;
}

/* One that no system call takes: the kernel's own test of it does, or what comes near. */
static int pin_longterm_read(int region, size_t offset, size_t length)
{
	struct {uint64_t address, size; uint32_t flags;} range = {
		(uintptr_t)at(region, offset), length, 2 /* pin_user_pages_fast() */};
	int fd = open(GUP_TEST, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return hold_pages(region, offset, length);
	if (ioctl(fd, _IOW('g', 7, range) /* PIN_LONGTERM_TEST_START */, &range))
		return -1;
	pinned[region][1] = fd + 1;
	return 0;
}

static void close_pin(int region)
{
	for (int i = 0; i < 2; i++) {
		if (pinned[region][i])
			close(pinned[region][i] - 1);
		pinned[region][i] = 0;
	}
}

static void unpin(int region)
{
	if (release_pages(region)) {
		settle();
		return;
	}
	if (!pinned[region][1] &&
	    syscall(SYS_io_uring_register, pinned[region][0] - 1, 1 /* no buffers */, NULL, 0))
		fail("cannot unpin: ");
	close_pin(region);
	settle();
}

/* A child has none of its parent's, but their descriptors. */
static void forget_pins(void)
{
	for (int region = 0; region < REGIONS; region++) {
		close_pin(region);
		forget_hold(region);
	}
}
