// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that show or change memory and devices that reach the machine are out of ring 3's reach,
 * however they are spelt.
 */
#include "fake_dune.h"
#include "file.h"
#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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
		cmocka_unit_test(the_executable_opens_without_a_name),
		cmocka_unit_test(openat2_refuses_what_it_does_not_know),
		cmocka_unit_test(fcntl_and_ioctl_obey_lists),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, fake_set_up, NULL);
}
