// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files by their names: opening, links, nodes. judge.c says what may be opened, descriptor.c has the
 * calls on what is open. Called from syscall.c.
 */
#include "file.h"
#include "sandbox.h"

#include <dune.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *sandbox_file_opened(const struct sandbox *box, const char *path,
				char own[SANDBOX_OWN_PATH_BYTES])
{
	snprintf(own, SANDBOX_OWN_PATH_BYTES, "/proc/%d/exe", getpid());
	if (strcmp(path, "/proc/self/exe") && strcmp(path, "/proc/thread-self/exe") &&
	    strcmp(path, own))
		return path;
	snprintf(own, SANDBOX_OWN_PATH_BYTES, "/proc/self/fd/%d", box->program.fd);
	return own;
}

/* path is a copy in ring 0. openat2() refuses flags that open() ignores. */
static long open_path(struct sandbox_call *call, long nr, int directory, const char *path,
		      struct open_how how)
{
	char own[SANDBOX_OWN_PATH_BYTES];
	long fd;

	if (!(how.flags & O_NOFOLLOW))
		path = sandbox_file_opened(call->box, path, own);
	fd = nr == SYS_openat2
		     ? dune_syscall(nr, directory, (long)path, (long)&how, sizeof(how), 0, 0)
		     : dune_syscall(nr, directory, (long)path, how.flags, how.mode, 0, 0);
	if (fd >= 0 && sandbox_file_judge(fd, how.flags)) {
		close(fd);
		return -EACCES;
	}
	return fd;
}

static long open_as(struct sandbox_call *call, int directory, uint64_t path, uint64_t flags,
		    uint64_t mode)
{
	return open_path(call, SYS_openat, directory, (char *)path,
			 (struct open_how){ .flags = (int)flags, .mode = mode });
}

long emulate_open(struct sandbox_call *call)
{
	return open_as(call, AT_FDCWD, call->arg[0], call->arg[1], call->arg[2]);
}

long emulate_creat(struct sandbox_call *call)
{
	return open_as(call, AT_FDCWD, call->arg[0], O_CREAT | O_WRONLY | O_TRUNC, call->arg[1]);
}

long emulate_openat(struct sandbox_call *call)
{
	return open_as(call, call->arg[0], call->arg[1], call->arg[2], call->arg[3]);
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
	return open_path(call, SYS_openat2, call->arg[0], (char *)call->arg[1], how);
}

static long read_link(struct sandbox_call *call, const char *path, uint64_t to, uint64_t bytes)
{
	const char *executable = call->box->program.executable;
	size_t length = strlen(executable);
	char own[SANDBOX_OWN_PATH_BYTES];
	long result;

	if (sandbox_file_opened(call->box, path, own) == path)
		return sandbox_call_forward(call);
	if ((int)bytes <= 0)
		return -EINVAL;
	if (length > bytes)
		length = bytes;
	result = sandbox_space_write(to, executable, length);
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
