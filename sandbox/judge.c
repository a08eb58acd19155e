// SPDX-License-Identifier: GPL-2.0-only
/*
 * What ring 3 may have open, judged by the inode once it is: so that no spelling of a path helps.
 * Called by file.c for each open.
 */
#include "file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

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
