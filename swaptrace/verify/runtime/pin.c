/* Pins: a buffer that an io_uring has registered, or pages that pipes have got by vmsplice(). */

#define GUP_TEST "/sys/kernel/debug/gup_test"
#define MOST_PIPES 1024
static struct pin {
	int ring;			/* the io_uring, plus 1 */
	int count, held[MOST_PIPES];	/* other descriptors that hold pages */
} pins[REGIONS];

static void close_pin(int region)
{
	struct pin *pin = &pins[region];

	if (pin->ring)
		close(pin->ring - 1);
	pin->ring = 0;
	while (pin->count)
		close(pin->held[--pin->count]);
}

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
		pins[region].ring = fd + 1;
		return 0;
	}
	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

/* How many bytes a new pipe takes from an address on: where not all, as many as it may. */
static size_t room_of(int pipe, size_t wanted, const void *from)
{
	while (wanted > (size_t)fcntl(pipe, F_GETPIPE_SZ) && fcntl(pipe, F_SETPIPE_SZ, wanted) < 0)
		wanted /= 2;
	return fcntl(pipe, F_GETPIPE_SZ) - (uintptr_t)from % page_size;
}

/* The pages that another pipe has room for; false if it cannot be, or they cannot be got. */
static bool fill_pipe(struct pin *pin, struct iovec *left)
{
	struct iovec part = *left;
	ssize_t taken;
	size_t room;
	int ends[2], error;

	if (pin->count == MOST_PIPES || pipe(ends)) {
		note.missing = "there can be no pipes of so many pages (fs.pipe-max-size, "
			       "fs.pipe-user-pages-soft, ulimit -n)";
		return false;
	}
	pin->held[pin->count++] = ends[0];
	room = room_of(ends[1], left->iov_len + page_size, left->iov_base);
	if (part.iov_len > room)
		part.iov_len = room;
	while (part.iov_len && (taken = vmsplice(ends[1], &part, 1, SPLICE_F_NONBLOCK)) > 0) {
		part.iov_base = (char *)part.iov_base + taken;
		part.iov_len -= taken;
		left->iov_len -= taken;
	}
	left->iov_base = part.iov_base;
	error = errno;
	close(ends[1]);
	errno = error;
	return !part.iov_len;
}

static int pin_get(int region, size_t offset, size_t length)
{
	struct iovec left = {at(region, offset), length};
	int error;

	while (left.iov_len && fill_pipe(&pins[region], &left))
		;
	if (!left.iov_len || note.missing)
		return 0;
	error = errno;
	close_pin(region);
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
	pins[region].held[pins[region].count++] = fd;
	return 0;
}

/* Of what the kernel did not pin nothing is held. */
static void unpin(int region)
{
	struct pin *pin = &pins[region];

	if (!release_pages(region)) {
		if (pin->ring && syscall(SYS_io_uring_register, pin->ring - 1, 1 /* no buffers */, NULL, 0))
			fail("cannot unpin: ");
		close_pin(region);
	}
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
