/*
 * Locked memory. A limit of it is for the regions: what the program has of its own, and locks with
 * mlockall(), comes on top of it.
 */
static size_t own_size, own_locked;	/* what that is, and how much of it can be locked */
static size_t locked_now;		/* of it */

static void limit_locked(size_t own)
{
	struct rlimit lock;

	getrlimit(RLIMIT_MEMLOCK, &lock);
	lock.rlim_cur = MEMLOCK ? MEMLOCK + own : 0;
	if (LIMITS_LOCKED && setrlimit(RLIMIT_MEMLOCK, &lock))
		fail("cannot set the limit of locked memory: ");
}

/* All of the process, but for what settle() needs not to be locked. */
static int lock_all(int flags)
{
	int result, error;

	limit_locked(own_size);
	result = mlockall(flags);
	error = errno;
	munlock(idle, page_size);
	if (!result && flags & MCL_CURRENT)
		locked_now = own_locked;
	limit_locked(locked_now);
	errno = error;
	return result;
}

static int unlock_all(void)
{
	locked_now = 0;
	limit_locked(0);
	return munlockall();
}

/* A child has nothing locked. */
static void unlocked_child(void)
{
	locked_now = 0;
	limit_locked(0);
}

/* From here on the process may lock no more than it is told. */
static void obey_limit(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct sets[2];

	if (!LIMITS_LOCKED)
		return;
	own_size = value_of(read_path("/proc/self/status"), "VmSize") * KiB;
	mlockall(MCL_CURRENT);
	munlock(idle, page_size);
	own_locked = value_of(read_path("/proc/self/status"), "VmLck") * KiB;
	munlockall();
	if (syscall(SYS_capget, &header, sets))
		fail("cannot read the capabilities: ");
	sets[0].effective &= ~(1U << CAP_IPC_LOCK);
	if (syscall(SYS_capset, &header, sets))
		fail("cannot give a capability up: ");
	limit_locked(0);
}
