// SPDX-License-Identifier: GPL-2.0-only
/*
 * Structures and arrays as strace shows them. trace.c calls with what the table's rows say an
 * argument is.
 */
#include "trace_line.h"
#include "signals.h"
#include "space.h"
#include "syscall.h"
#include "trace.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>

static void add_mode(struct sandbox_line *line, mode_t mode)
{
	static const struct sandbox_trace_symbol symbols[] = {
		{ S_IFMT, S_IFREG, "S_IFREG" },	  { S_IFMT, S_IFDIR, "S_IFDIR" },
		{ S_IFMT, S_IFCHR, "S_IFCHR" },	  { S_IFMT, S_IFBLK, "S_IFBLK" },
		{ S_IFMT, S_IFIFO, "S_IFIFO" },	  { S_IFMT, S_IFLNK, "S_IFLNK" },
		{ S_IFMT, S_IFSOCK, "S_IFSOCK" },
	};

	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		if ((mode & S_IFMT) == symbols[i].value)
			sandbox_line_add(line, "%s|", symbols[i].name);
	sandbox_line_add(line, "%#o", mode & ~S_IFMT);
}

static void add_stat(struct sandbox_line *line, const struct stat *status)
{
	sandbox_line_add(line, "{st_mode=");
	add_mode(line, status->st_mode);
	if (S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode))
		sandbox_line_add(line, ", st_rdev=%#lx, ...}", (long)status->st_rdev);
	else
		sandbox_line_add(line, ", st_size=%ld, ...}", (long)status->st_size);
}

void sandbox_line_add_sockaddr(struct sandbox_line *line, uint64_t address, uint64_t bytes)
{
	struct sockaddr_storage storage = { 0 };
	const struct sockaddr_in *in = (void *)&storage;
	const struct sockaddr_in6 *in6 = (void *)&storage;
	const struct sockaddr_un *un = (void *)&storage;
	char text[INET6_ADDRSTRLEN];

	if (bytes > sizeof(storage))
		bytes = sizeof(storage);
	if (bytes < sizeof(storage.ss_family) || sandbox_space_read(&storage, address, bytes)) {
		sandbox_line_add(line, "%#" PRIx64, address);
		return;
	}
	switch (storage.ss_family) {
	case AF_INET:
		sandbox_line_add(
			line, "{sa_family=AF_INET, sin_port=htons(%u), sin_addr=inet_addr(\"%s\")}",
			ntohs(in->sin_port), inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)));
		break;
	case AF_INET6:
		sandbox_line_add(line,
				 "{sa_family=AF_INET6, sin6_port=htons(%u), sin6_addr=\"%s\"}",
				 ntohs(in6->sin6_port),
				 inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)));
		break;
	case AF_UNIX:
		sandbox_line_add(line, "{sa_family=AF_UNIX, sun_path=");
		sandbox_line_add_quoted(line, un->sun_path,
					strnlen(un->sun_path, sizeof(un->sun_path)), false);
		sandbox_line_add(line, "}");
		break;
	default:
		sandbox_line_add(line, "{sa_family=%u}", storage.ss_family);
	}
}

void sandbox_line_add_poll(struct sandbox_line *line, uint64_t address, uint64_t count)
{
	static const struct sandbox_trace_symbol symbols[] = {
		{ POLLIN, POLLIN, "POLLIN" },
		{ POLLPRI, POLLPRI, "POLLPRI" },
		{ POLLOUT, POLLOUT, "POLLOUT" },
		{ POLLERR, POLLERR, "POLLERR" },
		{ POLLHUP, POLLHUP, "POLLHUP" },
		{ POLLNVAL, POLLNVAL, "POLLNVAL" },
		{ 0, 0, NULL },
	};
	static const struct sandbox_trace_set set = { symbols };

	sandbox_line_add(line, "[");
	for (uint64_t i = 0; i < count && i < SANDBOX_MAX_SHOWN; i++) {
		struct pollfd poll;

		if (sandbox_space_read(&poll, address + i * sizeof(poll), sizeof(poll)))
			break;
		sandbox_line_add(line, "%s{fd=%d, events=", i ? ", " : "", poll.fd);
		sandbox_line_add_set(line, &set, (unsigned short)poll.events);
		if (poll.revents) {
			sandbox_line_add(line, ", revents=");
			sandbox_line_add_set(line, &set, (unsigned short)poll.revents);
		}
		sandbox_line_add(line, "}");
	}
	sandbox_line_add(line, count > SANDBOX_MAX_SHOWN ? ", ...]" : "]");
}

void sandbox_line_add_iovec(struct sandbox_line *line, uint64_t address, uint64_t count,
			    uint64_t filled)
{
	sandbox_line_add(line, "[");
	for (uint64_t i = 0; i < count && i < SANDBOX_MAX_SHOWN; i++) {
		uint64_t bytes;
		struct iovec iovec;

		if (sandbox_space_read(&iovec, address + i * sizeof(iovec), sizeof(iovec)))
			break;
		bytes = iovec.iov_len < filled ? iovec.iov_len : filled;
		filled -= bytes;
		sandbox_line_add(line, "%s{iov_base=", i ? ", " : "");
		sandbox_line_add_data(line, (uint64_t)iovec.iov_base, bytes);
		sandbox_line_add(line, ", iov_len=%zu}", iovec.iov_len);
	}
	sandbox_line_add(line, count > SANDBOX_MAX_SHOWN ? ", ...]" : "]");
}

static void add_sigaction(struct sandbox_line *line, const struct sandbox_sigaction *action)
{
	if (action->handler == (uint64_t)SIG_DFL)
		sandbox_line_add(line, "{sa_handler=SIG_DFL");
	else if (action->handler == (uint64_t)SIG_IGN)
		sandbox_line_add(line, "{sa_handler=SIG_IGN");
	else
		sandbox_line_add(line, "{sa_handler=%#" PRIx64, action->handler);
	sandbox_line_add(line, ", sa_mask=");
	sandbox_line_add_sigset(line, action->mask);
	sandbox_line_add(line, ", sa_flags=%#" PRIx64 "}", action->flags);
}

void sandbox_line_add_ints(struct sandbox_line *line, uint64_t address, uint64_t count)
{
	sandbox_line_add(line, "[");
	for (uint64_t i = 0; i < count && i < SANDBOX_MAX_SHOWN; i++) {
		int value;

		if (sandbox_space_read(&value, address + i * sizeof(value), sizeof(value)))
			break;
		sandbox_line_add(line, "%s%d", i ? ", " : "", value);
	}
	sandbox_line_add(line, count > SANDBOX_MAX_SHOWN ? ", ...]" : "]");
}

static void add_limit(struct sandbox_line *line, const char *name, uint64_t value)
{
	if (value == RLIM_INFINITY)
		sandbox_line_add(line, "%s=RLIM64_INFINITY", name);
	else
		sandbox_line_add(line, "%s=%" PRIu64, name, value);
}

/* The kernel's string was in memory of ring 3 since, so it may be anything. */
static void add_name(struct sandbox_line *line, const char *label, const char name[SYS_NMLN])
{
	sandbox_line_add(line, "%s", label);
	sandbox_line_add_quoted(line, name, strnlen(name, SYS_NMLN - 1), false);
}

bool sandbox_line_add_structure(struct sandbox_line *line, enum sandbox_arg_show show,
				const void *data)
{
	const struct timespec *time = data;
	const struct timeval *timeval = data;
	const struct rlimit *limit = data;
	const struct utsname *name = data;

	switch (show) {
	case SHOW_STAT:
		add_stat(line, data);
		return true;
	case SHOW_TIMESPEC:
		sandbox_line_add(line, "{tv_sec=%ld, tv_nsec=%ld}", time->tv_sec, time->tv_nsec);
		return true;
	case SHOW_TIMEVAL:
		sandbox_line_add(line, "{tv_sec=%ld, tv_usec=%ld}", timeval->tv_sec,
				 timeval->tv_usec);
		return true;
	case SHOW_RLIMIT:
		add_limit(line, "{rlim_cur", limit->rlim_cur);
		add_limit(line, ", rlim_max", limit->rlim_max);
		sandbox_line_add(line, "}");
		return true;
	case SHOW_UTSNAME:
		add_name(line, "{sysname=", name->sysname);
		add_name(line, ", nodename=", name->nodename);
		add_name(line, ", release=", name->release);
		sandbox_line_add(line, ", ...}");
		return true;
	case SHOW_SIGSET:
		sandbox_line_add_sigset(line, *(const uint64_t *)data);
		return true;
	case SHOW_SIGACTION:
		add_sigaction(line, data);
		return true;
	case SHOW_LONG_AT:
		sandbox_line_add(line, "[%ld]", *(const long *)data);
		return true;
	default:
		return false;
	}
}
