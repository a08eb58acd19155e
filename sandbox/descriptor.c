// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors: the runtime's own, which do not exist for ring 3, and calls whose arguments depend on
 * what is asked of one (fcntl, ioctl). Called by syscall.c, and by main.c before.
 */
#include "descriptor.h"
#include "sandbox.h"

#include <asm/termbits.h> /* the kernel's struct termios, smaller than libc's */
#include <dirent.h>
#include <dune.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* ---- The runtime's descriptors ---------------------------------------- */

/* Where there is no descriptor left to look them up with. */
static void try_each(uint64_t open[SANDBOX_FD_WORDS])
{
	for (int fd = 0; fd < SANDBOX_MAX_FDS; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			open[fd / 64] |= 1ull << fd % 64;
}

int sandbox_fds_list(uint64_t open[SANDBOX_FD_WORDS])
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	memset(open, 0, SANDBOX_FD_WORDS * sizeof(*open));
	if (!directory && errno != EMFILE && errno != ENFILE)
		return -errno;
	if (!directory) {
		try_each(open);
		return 0;
	}
	while ((entry = readdir(directory))) {
		unsigned fd = strtoul(entry->d_name, NULL, 10);

		if (entry->d_name[0] != '.' && fd < SANDBOX_MAX_FDS &&
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

	for (int fd = 0; !result && fd < SANDBOX_MAX_FDS; fd++) {
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

int sandbox_fds_copy_high(int fd)
{
	int lowest = SANDBOX_LOWEST_OWN_FD, high;
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < 2 * SANDBOX_LOWEST_OWN_FD)
		lowest = limit.rlim_cur / 2;
	high = fcntl(fd, F_DUPFD_CLOEXEC, lowest);
	if (high < 0) /* none is free up there */
		high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return high < 0 ? -errno : high;
}

int sandbox_fds_move_high(int fd)
{
	int high = sandbox_fds_copy_high(fd);

	if (high < 0)
		return fd;
	close(fd);
	return high;
}

/* ---- Calls --------------------------------------------------------------- */

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
