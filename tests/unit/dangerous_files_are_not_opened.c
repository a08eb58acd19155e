// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that show or change memory, devices that reach the machine, and descriptors of the runtime
 * are out of ring 3's reach, however they are spelt.
 */
#include "fake_dune.h"
#include "descriptor.h"
#include "file.h"
#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sandbox *box;
static uint64_t page;

static int set_up(void **state)
{
	(void)state;
	box = fake_sandbox();
	page = fake_page(box);
	return 0;
}

static long open_as_ring3(const char *path, int flags)
{
	strcpy((char *)page, path);
	return RING3(box, SYS_openat, AT_FDCWD, page, flags, 0600);
}

/* Refused by the sandbox where this process could have opened it; otherwise by the kernel. */
static void check_refused(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	long result = open_as_ring3(path, flags);

	if (result >= 0)
		fail_msg("%s could be opened", path);
	if (fd >= 0) {
		assert_int_equal(result, -EACCES);
		close(fd);
	}
}

static void memory_is_refused_in_every_spelling(void **state)
{
	char path[128], link[] = "/tmp/dune-test-XXXXXX";
	long directory;

	(void)state;
	check_refused("/proc/self/mem", O_RDONLY);
	check_refused("/proc/self/mem", O_RDWR);
	check_refused("/proc/self/mem", O_PATH);
	check_refused("/proc/thread-self/mem", O_RDONLY);
	check_refused("/proc/./self/../self//mem", O_RDONLY);
	check_refused("/proc/self/root/proc/self/mem", O_RDONLY);
	check_refused("/proc/self/cwd/../../../../../../proc/self/mem", O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/mem", getpid());
	check_refused(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/mem", getpid(), gettid());
	check_refused(path, O_RDONLY);

	assert_non_null(mkdtemp(link));
	snprintf(path, sizeof(path), "%s/link", link);
	assert_int_equal(symlink("/proc/self/mem", path), 0);
	check_refused(path, O_RDONLY);
	unlink(path);
	rmdir(link);

	directory = open_as_ring3("/proc/self", O_PATH | O_DIRECTORY);
	assert_true(directory >= 0);
	strcpy((char *)page, "mem");
	assert_int_equal(RING3(box, SYS_openat, directory, page, O_RDONLY), -EACCES);
	*(struct open_how *)(page + 1024) = (struct open_how){ .flags = O_RDONLY };
	assert_int_equal(RING3(box, SYS_openat2, directory, page, page + 1024,
			       sizeof(struct open_how)),
			 -EACCES);
	close(directory);
}

static void rest_of_procfs_is_read_only_by_a_list(void **state)
{
	long fd;

	(void)state;
	check_refused("/proc/self/environ", O_RDONLY);
	check_refused("/proc/self/auxv", O_RDONLY);
	check_refused("/proc/self/pagemap", O_RDONLY);
	check_refused("/proc/self/clear_refs", O_WRONLY);
	check_refused("/proc/self/oom_score_adj", O_WRONLY);
	check_refused("/proc/self/comm", O_WRONLY);
	check_refused("/proc/kcore", O_RDONLY);
	check_refused("/proc/sysrq-trigger", O_WRONLY);
	check_refused("/proc/sys/kernel/core_pattern", O_WRONLY);
	fd = open_as_ring3("/proc/self/status", O_RDONLY);
	assert_true(fd >= 0);
	close(fd);
	fd = open_as_ring3("/proc/cpuinfo", O_RDONLY);
	assert_true(fd >= 0);
	close(fd);
}

/* Whatever PCI devices this computer has. Other files of sysfs are read, but not mapped. */
static void pci_devices_are_out_of_reach(void **state)
{
	static const char *const files[] = { "resource0", "resource0_wc", "resource1",
					     "resource5", "rom",	  "config" };
	DIR *devices = opendir("/sys/bus/pci/devices");
	struct dirent *entry;
	char path[512];
	long fd;

	(void)state;
	while (devices && (entry = readdir(devices))) {
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
			snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", entry->d_name,
				 files[i]);
			if (access(path, F_OK))
				continue;
			check_refused(path, O_RDONLY);
			check_refused(path, O_RDWR);
		}
	}
	if (devices)
		closedir(devices);
	fd = open_as_ring3("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);
	assert_true(fd >= 0 || fd == -ENOENT);
	if (fd >= 0) {
		assert_int_equal(RING3(box, SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, fd, 0),
				 -ENODEV);
		close(fd);
	}
	/* An inherited one. */
	fd = open("/sys/bus/pci/devices/0000:00:00.0/resource", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = open("/sys/power/state", O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		assert_int_equal(RING3(box, SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, fd, 0),
				 -ENODEV);
	close(fd);
}

/* Ring 3 could have other file systems of the kernel mounted for it. As root. */
static void interfaces_to_the_kernel_are_not_written(void **state)
{
	static const struct {
		const char *type, *file;
	} interfaces[] = {
		{ "binfmt_misc", "register" },	 { "fusectl", "1/abort" },
		{ "securityfs", "lsm" },	 { "debugfs", "sleep_time" },
		{ "tracefs", "current_tracer" }, { "resctrl", "schemata" },
		{ "nfsd", "threads" },		 { "cgroup2", "cgroup.procs" },
	};
	char directory[] = "/tmp/dune-test-XXXXXX", path[128];
	unsigned mounted = 0;

	(void)state;
	assert_non_null(mkdtemp(directory));
	for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++) {
		if (mount("none", directory, interfaces[i].type, 0, NULL))
			continue;
		mounted++;
		snprintf(path, sizeof(path), "%s/%s", directory, interfaces[i].file);
		check_refused(path, O_WRONLY);
		check_refused(path, O_RDWR);
		umount(directory);
	}
	rmdir(directory);
	if (!mounted)
		skip();
}

static void devices_are_opened_by_a_list(void **state)
{
	static const char *const good[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
					    "/dev/urandom" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		long fd = open_as_ring3(good[i], O_RDONLY);

		assert_true(fd >= 0);
		close(fd);
	}
	check_refused("/dev/mem", O_RDONLY);
	check_refused("/dev/port", O_RDONLY);
	check_refused("/dev/kmsg", O_RDONLY);
	check_refused("/dev/kvm", O_RDWR);
	check_refused("/dev/dune", O_RDWR);
	check_refused("/dev/fuse", O_RDWR);
	check_refused("/dev/vda", O_RDONLY);
	check_refused("/dev/sda", O_RDONLY);
}

static void device_nodes_are_not_made(void **state)
{
	(void)state;
	strcpy((char *)page, "/tmp/dune-test-node");
	assert_int_equal(RING3(box, SYS_mknod, page, S_IFCHR | 0600, 0x103), -EPERM);
	assert_int_equal(RING3(box, SYS_mknodat, AT_FDCWD, page, S_IFBLK | 0600, 0x103), -EPERM);
}

static void runtime_descriptors_do_not_exist(void **state)
{
	uint64_t before[SANDBOX_FD_WORDS];
	int hidden, other;

	(void)state;
	assert_int_equal(sandbox_fds_list(before), 0);
	hidden = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(sandbox_fds_hide_new(box, before), 0);
	other = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_true(sandbox_fds_hidden(box, hidden));
	assert_true(sandbox_fds_hidden(box, hidden | 1ull << 32)); /* the kernel takes 32 bits */
	assert_false(sandbox_fds_hidden(box, other));
	assert_int_equal(RING3(box, SYS_read, hidden, page, 1), -EBADF);
	assert_int_equal(RING3(box, SYS_close, hidden), -EBADF);
	assert_int_equal(RING3(box, SYS_close, hidden | 1ull << 32), -EBADF);
	assert_int_equal(RING3(box, SYS_dup, hidden), -EBADF);
	assert_int_equal(RING3(box, SYS_dup2, other, hidden), -EBADF);
	assert_int_equal(RING3(box, SYS_dup3, other, hidden, 0), -EBADF);
	assert_int_equal(RING3(box, SYS_fcntl, hidden, F_GETFD, 0), -EBADF);
	assert_int_equal(RING3(box, SYS_ioctl, hidden, 0, 0), -EBADF);
	assert_int_equal(RING3(box, SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, hidden, 0), -EBADF);
	assert_int_equal(RING3(box, SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, hidden | 1ull << 32,
			       0),
			 -EBADF);
	assert_int_equal(RING3(box, SYS_close_range, hidden, other, 0), 0);
	assert_int_equal(fcntl(hidden, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(other, F_GETFD), -1);
	other = fcntl(hidden, F_DUPFD, hidden + 10);
	assert_int_equal(RING3(box, SYS_close_range, hidden + 1, -1, 0), 0);
	assert_int_equal(fcntl(hidden, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(other, F_GETFD), -1);
	box->nr_hidden_fds = 0;
	close(hidden);
}

/* As of one that is not open, whatever else there is to wait for. */
static void runtime_descriptors_are_not_waited_for(void **state)
{
	int hidden = open("/dev/null", O_RDWR | O_CLOEXEC), own = open("/dev/null", O_RDWR);
	struct pollfd *poll = (void *)page;
	uint64_t *set = (void *)page, *others = (void *)(page + 256), *time = (void *)(page + 512);
	long many;

	(void)state;
	box->hidden_fd[box->nr_hidden_fds++] = hidden;
	for (int round = 0; round < 2; round++) {
		poll[0] = (struct pollfd){ hidden, POLLIN | POLLOUT, 0 };
		poll[1] = (struct pollfd){ own, POLLOUT, 0 };
		poll[2] = (struct pollfd){ -hidden - 1, POLLOUT, 1 };
		time[0] = 100;
		time[1] = 0;
		assert_int_equal(round ? RING3(box, SYS_ppoll, page, 3, (uint64_t)time, 0, 8)
				       : RING3(box, SYS_poll, page, 3, 100000),
				 2);
		assert_int_equal(poll[0].fd, hidden);
		assert_int_equal(poll[0].revents, POLLNVAL);
		assert_int_equal(poll[1].fd, own);
		assert_int_equal(poll[1].revents, POLLOUT);
		assert_int_equal(poll[2].revents, 0);
		poll[0].revents = 0;
		assert_int_equal(round ? RING3(box, SYS_ppoll, page, 1, 0, 0, 8)
				       : RING3(box, SYS_poll, page, 1, -1),
				 1);
		assert_int_equal(poll[0].revents, POLLNVAL);
	}
	many = RING3(box, SYS_mmap, 0, 16384, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(RING3(box, SYS_poll, many, SANDBOX_MAX_FDS + 1, 0), -EINVAL);

	for (int round = 0; round < 4; round++) {
		long nr = round < 3 ? SYS_select : SYS_pselect6;
		uint64_t args[6] = { SANDBOX_MAX_FDS };

		memset(set, 0, 256);
		memset(others, 0, 256);
		set[hidden / 64] |= 1ull << hidden % 64;
		others[own / 64] |= 1ull << own % 64;
		args[1 + round % 3] = page;
		args[1 + (round + 1) % 3] = (uint64_t)others;
		assert_int_equal(fake_syscall(box, nr, args), -EBADF);
		args[0] = hidden; /* bits beyond are not looked at */
		args[1 + (round + 1) % 3] = 0;
		time[0] = time[1] = 0;
		args[4] = (uint64_t)time;
		assert_int_equal(fake_syscall(box, nr, args), 0);
	}
	memset(others, 0, 256);
	others[own / 64] |= 1ull << own % 64;
	assert_int_equal(RING3(box, SYS_select, INT_MAX, 0, (uint64_t)others, 0, 0), 1);
	assert_int_equal(others[own / 64], 1ull << own % 64);
	assert_int_equal(RING3(box, SYS_select, -1, 0, (uint64_t)others, 0, 0), -EINVAL);
	box->nr_hidden_fds = 0;
	close(hidden);
	close(own);
}

/* With none left to look the others up with. */
static void a_full_table_is_listed(void **state)
{
	const struct rlimit few = { 64, 64 };
	uint64_t before[SANDBOX_FD_WORDS] = { 0 }, full[SANDBOX_FD_WORDS];
	pid_t child = fork();
	int status;

	(void)state;
	if (!child) {
		setrlimit(RLIMIT_NOFILE, &few);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		while (dup(0) >= 0)
			;
		if (sandbox_fds_list(full) || full[0] != -1ull || full[1])
			_exit(1);
		close(40);
		if (sandbox_fds_list(full) || full[0] != ~(1ull << 40))
			_exit(2);
		box->nr_hidden_fds = 0;
		if (sandbox_fds_hide_new(box, before) || box->nr_hidden_fds != 63)
			_exit(3);
		/* A copy goes where there is room. */
		if (sandbox_fds_copy_high(0) != 40 || sandbox_fds_copy_high(0) != -EMFILE ||
		    sandbox_fds_move_high(50) != 50)
			_exit(4);
		close(45);
		close(20);
		_exit(sandbox_fds_move_high(3) == 45 && fcntl(3, F_GETFD) < 0 ? 0 : 5);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Of a program that has no name any more. */
static void the_executable_opens_without_a_name(void **state)
{
	char by_pid[64];
	long fd;

	(void)state;
	box->program.fd = memfd_create("program", MFD_CLOEXEC);
	assert_int_equal(write(box->program.fd, "x", 1), 1);
	strcpy(box->program.executable, "/memfd:program (deleted)");
	snprintf(by_pid, sizeof(by_pid), "/proc/%d/exe", getpid());
	for (int round = 0; round < 2; round++) {
		fd = open_as_ring3(round ? by_pid : "/proc/self/exe", O_RDONLY);
		assert_true(fd >= 0);
		assert_int_equal(read(fd, (char *)page, 2), 1);
		close(fd);
	}
	strcpy((char *)page, "/proc/self/exe");
	assert_int_equal(RING3(box, SYS_readlink, page, page + 64, 64), 24);
	assert_memory_equal((char *)page + 64, box->program.executable, 24);
	close(box->program.fd);
}

static void openat2_refuses_what_it_does_not_know(void **state)
{
	struct open_how *how = (void *)(page + 1024);

	(void)state;
	*how = (struct open_how){ .flags = 1ull << 33 };
	strcpy((char *)page, "/etc/passwd");
	assert_int_equal(RING3(box, SYS_openat2, AT_FDCWD, page, page + 1024, sizeof(*how)),
			 -EINVAL);
	*how = (struct open_how){ .mode = 0600 };
	assert_int_equal(RING3(box, SYS_openat2, AT_FDCWD, page, page + 1024, sizeof(*how)),
			 -EINVAL);
}

static void fcntl_and_ioctl_obey_lists(void **state)
{
	(void)state;
	assert_int_equal(RING3(box, SYS_fcntl, 0, F_SETOWN, 1), -EINVAL);
	assert_int_equal(RING3(box, SYS_fcntl, 0, F_SETSIG, 9), -EINVAL);
	assert_int_equal(RING3(box, SYS_fcntl, 0, F_SETFL, O_ASYNC), -EPERM);
	assert_int_equal(RING3(box, SYS_ioctl, 0, 0x5412 /* TIOCSTI */, page), -EPERM);
	assert_int_equal(RING3(box, SYS_ioctl, 0, 0x5452 /* FIOASYNC */, page), -ENOTTY);
	assert_int_equal(RING3(box, SYS_ioctl, 0, 0xae01 /* KVM_CREATE_VM */, 0), -ENOTTY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_refused_in_every_spelling),
		cmocka_unit_test(rest_of_procfs_is_read_only_by_a_list),
		cmocka_unit_test(pci_devices_are_out_of_reach),
		cmocka_unit_test(interfaces_to_the_kernel_are_not_written),
		cmocka_unit_test(devices_are_opened_by_a_list),
		cmocka_unit_test(device_nodes_are_not_made),
		cmocka_unit_test(runtime_descriptors_do_not_exist),
		cmocka_unit_test(runtime_descriptors_are_not_waited_for),
		cmocka_unit_test(a_full_table_is_listed),
		cmocka_unit_test(the_executable_opens_without_a_name),
		cmocka_unit_test(openat2_refuses_what_it_does_not_know),
		cmocka_unit_test(fcntl_and_ioctl_obey_lists),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, NULL);
}
