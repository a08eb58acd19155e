// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files and descriptors: system calls whose arguments say what they do (open, fcntl, ioctl), and
 * the runtime's own descriptors, which do not exist for ring 3. Called from syscall.c.
 */
#include "file.h"
#include "sandbox.h"

#include <asm/termbits.h> /* the kernel's struct termios, smaller than libc's */
#include <ctype.h>
#include <dirent.h>
#include <dune.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* ---- The runtime's descriptors ---------------------------------------- */

int sandbox_fds_list(uint64_t open[SANDBOX_FD_WORDS])
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	if (!directory)
		return -errno;
	memset(open, 0, SANDBOX_FD_WORDS * sizeof(*open));
	while ((entry = readdir(directory))) {
		unsigned fd = strtoul(entry->d_name, NULL, 10);

		if (entry->d_name[0] != '.' && fd < SANDBOX_FD_WORDS * 64 &&
		    fd != (unsigned)dirfd(directory))
			open[fd / 64] |= 1ull << fd % 64;
	}
	closedir(directory);
	return 0;
}

int sandbox_fds_hide_new(struct sandbox *box, const uint64_t before[SANDBOX_FD_WORDS])
{
	uint64_t now[SANDBOX_FD_WORDS];
	int result = sandbox_fds_list(now);

	for (int fd = 0; !result && fd < SANDBOX_FD_WORDS * 64; fd++) {
		if (!((now[fd / 64] & ~before[fd / 64]) >> fd % 64 & 1))
			continue;
		if (box->nr_hidden_fds == SANDBOX_MAX_HIDDEN_FDS)
			return -EMFILE;
		box->hidden_fd[box->nr_hidden_fds++] = fd;
	}
	return result;
}

bool sandbox_fds_hidden(const struct sandbox *box, uint64_t fd)
{
	for (unsigned i = 0; i < box->nr_hidden_fds; i++)
		if (box->hidden_fd[i] == (int)fd)
			return true;
	return false;
}

/* ---- What may be opened ------------------------------------------------ */

/* Character devices without a way to memory, other processes or the CPU. */
static bool device_allowed(dev_t device)
{
	switch (major(device)) {
	case 1: /* null, zero, full, random, urandom */
		return minor(device) == 3 || minor(device) == 5 || minor(device) == 7 ||
		       minor(device) == 8 || minor(device) == 9;
	case 4: /* consoles, serial lines */
	case 5: /* the controlling terminal, ptmx */
		return true;
	default:
		return major(device) >= 136 && major(device) <= 143; /* pseudo-terminals */
	}
}

/*
 * Files of procfs that may be read, by the last part of their name. What is not here shows memory,
 * registers, the environment of the host program, or the kernel.
 */
static const char *const proc_files[] = {
	"cgroup",	"cgroups",   "cmdline", "comm",	      "cpuinfo",   "diskstats",
	"filesystems",	"io",	     "limits",	"loadavg",    "loginuid",  "maps",
	"meminfo",	"mountinfo", "mounts",	"mountstats", "oom_score", "partitions",
	"smaps_rollup", "stat",	     "statm",	"status",     "swaps",	   "uptime",
	"version",	"vmstat",    "gid_map", "uid_map",
};

/* The last part of the name by which the kernel knows what is open as fd; NULL if it does not. */
static const char *kernel_name(int fd, char path[PATH_MAX])
{
	char link[64], *slash;
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, PATH_MAX - 1);
	if (length <= 0)
		return NULL;
	path[length] = '\0';
	slash = strrchr(path, '/');
	return slash ? slash + 1 : NULL;
}

static bool proc_file_allowed(int fd)
{
	char path[PATH_MAX];
	const char *name = kernel_name(fd, path);

	if (!name)
		return false;
	if (!strncmp(path, "/proc/sys/", strlen("/proc/sys/")))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(proc_files); i++)
		if (!strcmp(name, proc_files[i]))
			return true;
	return false;
}

/*
 * Not what reaches a PCI device: its memory and ports (resource0, resource0_wc), its ROM, its
 * configuration, and the ports of its bus (legacy_io). To read those can be to write.
 */
static bool sysfs_file_allowed(int fd)
{
	char path[PATH_MAX];
	const char *name = kernel_name(fd, path);

	return name && strcmp(name, "rom") && strcmp(name, "config") &&
	       strncmp(name, "legacy_", strlen("legacy_")) &&
	       (strncmp(name, "resource", strlen("resource")) ||
		!isdigit((unsigned char)name[strlen("resource")]));
}

/*
 * File systems that are interfaces to the kernel: nothing there is for ring 3 to change. Those below
 * without a name have none in <linux/magic.h>.
 */
static bool is_kernel_interface(long type)
{
	static const long types[] = {
		PROC_SUPER_MAGIC,     SYSFS_MAGIC,	  DEBUGFS_MAGIC,
		TRACEFS_MAGIC,	      CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
		RDTGROUP_SUPER_MAGIC, SECURITYFS_MAGIC,	  SELINUX_MAGIC,
		SMACK_MAGIC,	      AAFS_MAGIC,	  EFIVARFS_MAGIC,
		PSTOREFS_MAGIC,	      BPF_FS_MAGIC,	  BINFMTFS_MAGIC,
		BINDERFS_SUPER_MAGIC, XENFS_SUPER_MAGIC,  USBDEVICE_SUPER_MAGIC,
		0x62656570, /* configfs */
		0x65735543, /* fusectl */
		0x6e667364, /* nfsd */
		0x67596969, /* rpc_pipefs */
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (type == types[i])
			return true;
	return false;
}

int sandbox_file_judge(int fd, int flags)
{
	bool writes = !(flags & O_PATH) && (flags & O_ACCMODE) != O_RDONLY;
	struct statfs filesystem;
	struct stat status;

	if (fstat(fd, &status))
		return -EACCES;
	if (S_ISBLK(status.st_mode))
		return -EACCES;
	if (S_ISCHR(status.st_mode))
		return device_allowed(status.st_rdev) ? 0 : -EACCES;
	/* All those file systems have anonymous device numbers: saves a call for the others. */
	if (!S_ISREG(status.st_mode) || major(status.st_dev) != 0)
		return 0;
	if (fstatfs(fd, &filesystem))
		return -EACCES;
	if (!is_kernel_interface(filesystem.f_type))
		return 0;
	if (writes)
		return -EACCES;
	if (filesystem.f_type == PROC_SUPER_MAGIC)
		return proc_file_allowed(fd) ? 0 : -EACCES;
	if (filesystem.f_type == SYSFS_MAGIC)
		return sysfs_file_allowed(fd) ? 0 : -EACCES;
	return filesystem.f_type == CGROUP2_SUPER_MAGIC || filesystem.f_type == CGROUP_SUPER_MAGIC
		       ? 0
		       : -EACCES;
}

const char *sandbox_file_own_executable(const struct sandbox *box, const char *path)
{
	char by_pid[64];

	snprintf(by_pid, sizeof(by_pid), "/proc/%d/exe", getpid());
	return !strcmp(path, "/proc/self/exe") || !strcmp(path, "/proc/thread-self/exe") ||
			       !strcmp(path, by_pid)
		       ? box->program.executable
		       : NULL;
}

/* path is a copy in ring 0. */
static long open_path(struct sandbox_call *call, int directory, const char *path, uint64_t flags,
		      uint64_t mode, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .mode = mode, .resolve = resolve };
	const char *own = sandbox_file_own_executable(call->box, path);
	long fd;

	if (own && !(flags & O_NOFOLLOW))
		path = own;
	fd = resolve ? dune_syscall(SYS_openat2, directory, (long)path, (long)&how, sizeof(how), 0,
				    0)
		     : dune_syscall(SYS_openat, directory, (long)path, flags, mode, 0, 0);
	if (fd >= 0 && sandbox_file_judge(fd, flags)) {
		close(fd);
		return -EACCES;
	}
	return fd;
}

long emulate_open(struct sandbox_call *call)
{
	return open_path(call, AT_FDCWD, (char *)call->arg[0], (int)call->arg[1], call->arg[2], 0);
}

long emulate_creat(struct sandbox_call *call)
{
	return open_path(call, AT_FDCWD, (char *)call->arg[0], O_CREAT | O_WRONLY | O_TRUNC,
			 call->arg[1], 0);
}

long emulate_openat(struct sandbox_call *call)
{
	return open_path(call, call->arg[0], (char *)call->arg[1], (int)call->arg[2], call->arg[3],
			 0);
}

long emulate_openat2(struct sandbox_call *call)
{
	struct open_how how;

	if (call->arg[3] < sizeof(how))
		return -EINVAL;
	if (call->arg[3] > sizeof(how))
		return -E2BIG;
	if (sandbox_space_read(&how, call->arg[2], sizeof(how)))
		return -EFAULT;
	return open_path(call, call->arg[0], (char *)call->arg[1], how.flags, how.mode,
			 how.resolve);
}

static long read_link(struct sandbox_call *call, const char *path, uint64_t to, uint64_t bytes)
{
	const char *own = sandbox_file_own_executable(call->box, path);
	size_t length;
	long result;

	if (!own)
		return sandbox_call_forward(call);
	if ((int)bytes <= 0)
		return -EINVAL;
	length = strlen(own) < bytes ? strlen(own) : bytes;
	result = sandbox_space_write(to, own, length);
	return result ? result : (long)length;
}

long emulate_readlink(struct sandbox_call *call)
{
	return read_link(call, (char *)call->arg[0], call->arg[1], call->arg[2]);
}

long emulate_readlinkat(struct sandbox_call *call)
{
	return read_link(call, (char *)call->arg[1], call->arg[2], call->arg[3]);
}

/* Device nodes would be a way around sandbox_file_judge() for others, if not for us. */
static long make_node(struct sandbox_call *call, uint64_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode) ? -EPERM : sandbox_call_forward(call);
}

long emulate_mknod(struct sandbox_call *call)
{
	return make_node(call, call->arg[1]);
}

long emulate_mknodat(struct sandbox_call *call)
{
	return make_node(call, call->arg[2]);
}

/* Huge pages are not offered: see judge_file() in memory.c. */
long emulate_memfd_create(struct sandbox_call *call)
{
	return call->arg[1] & MFD_HUGETLB ? -ENOSYS : sandbox_call_forward(call);
}

/* ---- Descriptors ------------------------------------------------------- */

/* Closes around the hidden descriptors. */
long emulate_close_range(struct sandbox_call *call)
{
	uint64_t first = call->arg[0], last = call->arg[1];

	if (first > last)
		return -EINVAL;
	while (first <= last) {
		uint64_t end = last;
		long result = 0;

		for (unsigned i = 0; i < call->box->nr_hidden_fds; i++) {
			uint64_t hidden = call->box->hidden_fd[i];

			if (hidden >= first && hidden <= end)
				end = hidden - 1;
		}
		if (end + 1 > first) /* not when the first one is hidden */
			result = dune_syscall(SYS_close_range, first, end, call->arg[2], 0, 0, 0);
		if (result)
			return result;
		first = end + 1 + (end != last);
	}
	return 0;
}

/* The flags of file locks are struct flock, 32 bytes, with no pointer in it. */
static long forward_lock(struct sandbox_call *call)
{
	long result = sandbox_space_check(call->arg[2], sizeof(struct flock));

	return result ? result : sandbox_call_forward(call);
}

long emulate_fcntl(struct sandbox_call *call)
{
	switch ((int)call->arg[1]) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
	case F_GETFD:
	case F_SETFD:
	case F_GETFL:
	case F_GETPIPE_SZ:
	case F_SETPIPE_SZ:
	case F_ADD_SEALS:
	case F_GET_SEALS:
		return sandbox_call_forward(call);
	case F_SETFL: /* signals of others' choosing: not with the runtime in the same process */
		return call->arg[2] & O_ASYNC ? -EPERM : sandbox_call_forward(call);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return forward_lock(call);
	default:
		return -EINVAL;
	}
}

/* Requests that may pass, with the bytes behind their argument; 0: the argument is not looked at. */
static const struct {
	unsigned request;
	unsigned bytes;
} ioctls[] = {
	{ TCGETS, sizeof(struct termios) },
	{ TCSETS, sizeof(struct termios) },
	{ TCSETSW, sizeof(struct termios) },
	{ TCSETSF, sizeof(struct termios) },
	{ TCGETS2, sizeof(struct termios2) },
	{ TCSETS2, sizeof(struct termios2) },
	{ TCSETSW2, sizeof(struct termios2) },
	{ TCSETSF2, sizeof(struct termios2) },
	{ TIOCGWINSZ, sizeof(struct winsize) },
	{ TIOCGPGRP, sizeof(int) },
	{ FIONREAD, sizeof(int) },
	{ FIONBIO, sizeof(int) },
	{ FIOCLEX, 0 },
	{ FIONCLEX, 0 },
};

long emulate_ioctl(struct sandbox_call *call)
{
	for (size_t i = 0; i < ARRAY_SIZE(ioctls); i++) {
		if (ioctls[i].request != (unsigned)call->arg[1])
			continue;
		if (sandbox_space_check(call->arg[2], ioctls[i].bytes))
			return -EFAULT;
		return sandbox_call_forward(call);
	}
	/* TIOCSTI would type into the terminal of whoever started us; others are merely unknown. */
	return (unsigned)call->arg[1] == TIOCSTI ? -EPERM : -ENOTTY;
}

static long check_fd_sets(const struct sandbox_call *call)
{
	uint64_t bytes = ((int)call->arg[0] + 63ull) / 64 * 8;

	if ((int)call->arg[0] < 0)
		return -EINVAL;
	for (int i = 1; i <= 3; i++)
		if (call->arg[i] && sandbox_space_check(call->arg[i], bytes))
			return -EFAULT;
	return 0;
}

long emulate_select(struct sandbox_call *call)
{
	long result = check_fd_sets(call);

	return result ? result : sandbox_call_forward(call);
}

/* The last argument points to a pointer to a signal mask, which like all masks is not forwarded. */
long emulate_pselect6(struct sandbox_call *call)
{
	uint64_t mask[2];
	long result = check_fd_sets(call);

	if (result)
		return result;
	if (call->arg[5]) {
		if (sandbox_space_read(mask, call->arg[5], sizeof(mask)) ||
		    (mask[0] && sandbox_space_check(mask[0], sizeof(uint64_t))))
			return -EFAULT;
		call->arg[5] = 0;
	}
	return sandbox_call_forward(call);
}
