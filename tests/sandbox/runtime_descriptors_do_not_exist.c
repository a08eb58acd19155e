// SPDX-License-Identifier: GPL-2.0-only
/*
 * To the program the sandbox's own descriptors are not open, whatever call it tries, and files
 * that show or change the memory of processes cannot be opened, however they are spelled.
 */
#include "sandboxed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Row 58 --------------------------------------------------------------- */

static int fds[64];

/* All descriptors of the process above those that the program has: /proc lists them. */
static size_t find_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	size_t count = 0;

	CHECK(directory);
	while ((entry = readdir(directory))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd > 2 && fd != dirfd(directory))
			fds[count++] = fd;
	}
	closedir(directory);
	CHECK(count >= 3); /* the vm, the vcpu, and where the sandbox reports to */
	return count;
}

static void calls_on_descriptors(void)
{
	size_t count = find_fds();
	long page =
		RAW(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int zero = open("/dev/zero", O_RDWR);

	for (size_t i = 0; i < count; i++) {
		/* The kernel takes an int: what is above is not looked at. */
		const long spellings[] = { fds[i], fds[i] | 1l << 32, fds[i] | 0xffffffffl << 32 };

		for (int j = 0; j < 3; j++) {
			long fd = spellings[j];

			CHECK_EQ(RAW(SYS_close, fd), -EBADF);
			CHECK_EQ(RAW(SYS_read, fd, page, 1), -EBADF);
			CHECK_EQ(RAW(SYS_write, fd, page, 1), -EBADF);
			CHECK_EQ(RAW(SYS_lseek, fd, 0, 0), -EBADF); /* would run the vcpu */
			CHECK_EQ(RAW(SYS_dup, fd), -EBADF);
			CHECK_EQ(RAW(SYS_dup2, zero, fd), -EBADF);
			CHECK_EQ(RAW(SYS_dup3, zero, fd, 0), -EBADF);
			CHECK_EQ(RAW(SYS_dup2, fd, 50), -EBADF);
			CHECK_EQ(RAW(SYS_fcntl, fd, F_DUPFD, 0), -EBADF);
			CHECK_EQ(RAW(SYS_fcntl, fd, F_SETFD, 0), -EBADF);
			CHECK_EQ(RAW(SYS_fcntl, fd, F_SETFL, 0), -EBADF);
			CHECK_EQ(RAW(SYS_fcntl, fd, F_SETOWN, 1), -EBADF);
			CHECK_EQ(RAW(SYS_ioctl, fd, 0x5452 /* FIOASYNC */, page), -EBADF);
			CHECK_EQ(RAW(SYS_ioctl, fd, 0xae80 /* KVM_RUN */, 0), -EBADF);
			CHECK_EQ(RAW(SYS_fstat, fd, page), -EBADF);
			CHECK_EQ(RAW(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, fd, 0), -EBADF);
			CHECK_EQ(RAW(SYS_sendfile, zero, fd, 0, 1), -EBADF);
			CHECK_EQ(RAW(SYS_sendfile, fd, zero, 0, 1), -EBADF);
			CHECK_EQ(RAW(SYS_epoll_ctl, fd, 1, 0, page), -EBADF);
			CHECK_EQ(RAW(SYS_openat, fd, "x", 0), -EBADF);
			CHECK_EQ(RAW(SYS_fchdir, fd), -EBADF);
			CHECK_EQ(RAW(SYS_fchmod, fd, 0666), -EBADF);
		}
	}
	/* Everything is still there, and works. */
	CHECK_EQ(find_fds(), count + 1); /* zero */
}

static void they_are_not_waited_for(void)
{
	size_t count = find_fds();

	for (size_t i = 0; i < count; i++) {
		struct pollfd poll = { fds[i], POLLIN | POLLOUT, 0 };
		uint64_t set[16] = { 0 };

		CHECK_EQ(RAW(SYS_poll, &poll, 1, -1), 1);
		CHECK_EQ(poll.revents, POLLNVAL);
		poll.revents = 0;
		CHECK_EQ(RAW(SYS_ppoll, &poll, 1, 0, 0, 8), 1);
		CHECK_EQ(poll.revents, POLLNVAL);
		set[fds[i] / 64] = 1ul << fds[i] % 64;
		CHECK_EQ(RAW(SYS_select, 1024, set, 0, 0, 0), -EBADF);
		CHECK_EQ(RAW(SYS_select, 1024, 0, set, 0, 0), -EBADF);
		CHECK_EQ(RAW(SYS_pselect6, 1024, 0, 0, set, 0, 0), -EBADF);
	}
}

static void close_range_goes_around_them(void)
{
	size_t count = find_fds();
	int own = open("/dev/null", O_RDONLY);

	CHECK_EQ(RAW(SYS_close_range, 3, ~0u, 4 /* CLOEXEC */), 0);
	CHECK_EQ(RAW(SYS_close_range, 3, ~0u, 0), 0);
	CHECK_EQ(RAW(SYS_close, own), -EBADF);
	CHECK_EQ(RAW(SYS_close_range, fds[0], fds[0], 0), 0);
	CHECK_EQ(find_fds(), count);
}

/* By their names in /proc. */
static void descriptors_by_name(void)
{
	size_t count = find_fds();
	char path[64], target[256];

	for (size_t i = 0; i < count; i++) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
		length = readlink(path, target, sizeof(target) - 1);
		CHECK(length > 0);
		target[length] = '\0';
		if (strcmp(target, "/dev/dune") && !strstr(target, "anon_inode"))
			continue; /* a copy of our own stderr */
		CHECK(open(path, O_RDWR) < 0);
		CHECK(open(path, O_RDONLY) < 0);
		CHECK(open(path, O_PATH) < 0 || !strstr(target, "/dev/dune"));
	}
}

static void the_device_is_not_opened(void)
{
	CHECK(open("/dev/dune", O_RDWR) < 0 && errno == EACCES);
	CHECK(open("/dev/dune", O_RDONLY) < 0 && errno == EACCES);
	CHECK(open("/dev/dune", O_PATH) < 0 && errno == EACCES);
	CHECK(open("/dev/kvm", O_RDWR) < 0 && errno == EACCES);
}

/* ---- Row 37 ---------------------------------------------------------------- */

static void check_closed(const char *path, int flags)
{
	long fd = RAW(SYS_open, path, flags, 0);

	if (fd >= 0 || (fd != -EACCES && fd != -ENOENT && fd != -ENXIO && fd != -EPERM))
		FAIL("%s opened with %#x: %ld", path, flags, fd);
}

static void memory_of_processes(void)
{
	char path[128];
	int proc = open("/proc", O_RDONLY | O_DIRECTORY), self, link;
	struct open_how how = { .flags = O_RDWR };
	const char *const spellings[] = {
		"/proc/self/mem",
		"/proc/thread-self/mem",
		"/proc//self/./mem",
		"/proc/self/task/../mem",
		"/proc/self/cwd/../proc/self/mem",
		"/proc/self/root/proc/self/mem",
		"/proc/1/mem",
		"/dev/mem",
		"/dev/kmem",
		"/dev/port",
		"/proc/kcore",
		"/proc/self/pagemap",
		"/proc/self/environ",
		"/proc/self/auxv",
		"/proc/self/syscall",
		"/proc/self/stack",
		"/proc/kallsyms",
		"/proc/sysrq-trigger",
		"/sys/kernel/debug/kmemleak",
	};

	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		check_closed(spellings[i], O_RDONLY);
		check_closed(spellings[i], O_WRONLY);
		check_closed(spellings[i], O_RDWR);
	}
	check_closed("/proc/self/mem", O_RDWR | O_CREAT | O_TRUNC);
	snprintf(path, sizeof(path), "/proc/%d/mem", getpid());
	check_closed(path, O_RDWR);
	snprintf(path, sizeof(path), "/proc/self/task/%d/mem", getpid());
	check_closed(path, O_RDWR);
	snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
	check_closed(path, O_RDONLY);

	/* By a link, a directory's descriptor, openat2, creat. */
	unlink("/tmp/innocent");
	CHECK_EQ(symlink("/proc/self/mem", "/tmp/innocent"), 0);
	check_closed("/tmp/innocent", O_RDWR);
	unlink("/tmp/innocent");
	CHECK(proc >= 0);
	self = openat(proc, "self", O_RDONLY | O_DIRECTORY);
	CHECK(self >= 0);
	CHECK_EQ(RAW(SYS_openat, self, "mem", O_RDWR, 0), -EACCES);
	CHECK_EQ(RAW(SYS_openat2, self, "mem", &how, sizeof(how)), -EACCES);
	how.resolve = RESOLVE_BENEATH;
	CHECK_EQ(RAW(SYS_openat2, self, "mem", &how, sizeof(how)), -EACCES);
	CHECK_EQ(RAW(SYS_creat, "/proc/self/mem", 0600), -EACCES);
	/* By way of a descriptor that names it only. */
	link = openat(self, "mem", O_PATH);
	CHECK(link < 0);
	CHECK_EQ(chdir("/proc/self"), 0);
	CHECK_EQ(RAW(SYS_open, "mem", O_RDWR, 0), -EACCES);
}

static void map_files_of_the_runtime(void)
{
	DIR *directory = opendir("/proc/self/map_files");
	struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory))) {
		int fd = openat(dirfd(directory), entry->d_name, O_RDWR);

		/* What can be written that way is a file, which the program could open anyway;
		 * the run page is none. */
		if (fd >= 0) {
			struct stat status;

			CHECK_EQ(fstat(fd, &status), 0);
			CHECK(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
			close(fd);
		}
	}
	closedir(directory);
}

/* What programs do need still opens. */
static void harmless_files(void)
{
	const char *const paths[] = { "/proc/self/maps", "/proc/self/status", "/proc/meminfo",
				      "/proc/cpuinfo",	 "/proc/self/exe",    "/dev/null",
				      "/dev/zero",	 "/dev/urandom",      "/etc/passwd",
				      "/proc/self",	 "/sys/kernel" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int fd = open(paths[i], O_RDONLY);

		if (fd < 0)
			FAIL("%s: %s", paths[i], strerror(errno));
		close(fd);
	}
}

/* What isatty() of newer C libraries asks. */
static void terminals_are_known(void)
{
	unsigned char settings[44];
	int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY), null = open("/dev/null", O_RDWR);

	CHECK(terminal >= 0);
	memset(settings, 0xa5, sizeof(settings));
	CHECK_EQ(RAW(SYS_ioctl, terminal, 0x802c542a /* TCGETS2 */, settings), 0);
	CHECK(settings[43] != 0xa5);
	CHECK_EQ(RAW(SYS_ioctl, terminal, 0x402c542b /* TCSETS2 */, settings), 0);
	CHECK_EQ(RAW(SYS_ioctl, null, 0x802c542a, settings), -ENOTTY);
}

/* The program's own executable, not the sandbox's. */
static void the_executable_is_the_program(void)
{
	char path[256] = "";

	CHECK(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	CHECK(strstr(path, "/runtime_descriptors_do_not_exist"));
}

/* However it was named, and wherever it goes. */
static void the_executable_stays_the_program(void)
{
	char before[256] = "", after[256] = "";
	struct stat by_name, by_link;
	int fd;

	CHECK(readlink("/proc/self/exe", before, sizeof(before) - 1) > 0);
	CHECK_EQ(before[0], '/');
	CHECK_EQ(chdir("/"), 0);
	CHECK(readlink("/proc/self/exe", after, sizeof(after) - 1) > 0);
	CHECK(!strcmp(before, after));
	fd = open("/proc/self/exe", O_RDONLY);
	CHECK(fd >= 0);
	CHECK_EQ(fstat(fd, &by_link), 0);
	CHECK_EQ(stat(before, &by_name), 0);
	CHECK_EQ(by_link.st_ino, by_name.st_ino);
	execl("/proc/self/exe", "x", INSIDE, "the_executable_is_the_program", NULL);
	FAIL("%s", strerror(errno));
}

static void a_relative_name_is_kept(void **state)
{
	struct outcome outcome;
	char directory[256];
	char *slash;

	strcpy(directory, own_path());
	slash = strrchr(directory, '/');
	*slash = '\0';
	assert_int_equal(chdir(directory), 0);
	RUN_SANDBOXED(&outcome, "./runtime_descriptors_do_not_exist", INSIDE, *state);
	check_status(&outcome, 0);
	outcome_free(&outcome);
}

static const struct inside_case cases[] = {
	inside_case(calls_on_descriptors),
	inside_case(they_are_not_waited_for),
	inside_case(close_range_goes_around_them),
	inside_case(descriptors_by_name),
	inside_case(the_device_is_not_opened),
	inside_case(memory_of_processes),
	inside_case(map_files_of_the_runtime),
	inside_case(harmless_files),
	inside_case(terminals_are_known),
	inside_case(the_executable_is_the_program),
	inside_case(the_executable_stays_the_program),
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		inside_test(calls_on_descriptors),
		inside_test(they_are_not_waited_for),
		inside_test(close_range_goes_around_them),
		inside_test(descriptors_by_name),
		inside_test(the_device_is_not_opened),
		inside_test(memory_of_processes),
		inside_test(map_files_of_the_runtime),
		inside_test(harmless_files),
		inside_test(terminals_are_known),
		inside_test(the_executable_is_the_program),
		inside_test(the_executable_stays_the_program),
		{ .name = "a_relative_name_is_kept",
		  .test_func = a_relative_name_is_kept,
		  .initial_state = (void *)"the_executable_stays_the_program" },
	};

	inside_main(argc, argv, cases);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
