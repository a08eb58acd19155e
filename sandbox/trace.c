// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shows system calls as strace does. syscall.c calls it after each call when --trace is on; the
 * rows of syscall_table.c say what every argument is, trace_sets.c has the names.
 */
#include "trace.h"
#include "process.h"
#include "sandbox.h"
#include "space.h"
#include "syscall.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define MAX_SHOWN  32 /* bytes of data and elements of arrays, as strace */
#define LINE_BYTES 8192
#define PID_BYTES  24 /* "[pid 12345] " */

struct line {
	char *text;
	size_t length, bytes;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
	size_t room = line->bytes - line->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line->text + line->length, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		line->length += (size_t)length < room ? (size_t)length : room - 1;
}

static void add_quoted(struct line *line, const char *data, size_t bytes, bool cut)
{
	add(line, "\"");
	for (size_t i = 0; i < bytes; i++) {
		unsigned char byte = data[i];

		if (byte == '"' || byte == '\\')
			add(line, "\\%c", byte);
		else if (byte == '\n')
			add(line, "\\n");
		else if (byte == '\t')
			add(line, "\\t");
		else if (byte == '\r')
			add(line, "\\r");
		else if (isascii(byte) && isprint(byte))
			add(line, "%c", byte);
		else if (i + 1 < bytes && isdigit((unsigned char)data[i + 1]))
			add(line, "\\%03o", byte); /* else the digit would seem to belong to it */
		else
			add(line, "\\%o", byte);
	}
	add(line, cut ? "\"..." : "\"");
}

static void add_data(struct line *line, uint64_t address, uint64_t bytes)
{
	char data[MAX_SHOWN];
	size_t shown = bytes < MAX_SHOWN ? bytes : MAX_SHOWN;

	if (sandbox_space_read(data, address, shown))
		add(line, "%#" PRIx64, address);
	else
		add_quoted(line, data, shown, bytes > shown);
}

static void add_set(struct line *line, const struct sandbox_trace_set *set, uint64_t value)
{
	const struct sandbox_trace_symbol *symbol;
	const char *separator = "";
	uint64_t left = value;

	for (symbol = set->symbols; symbol->name; symbol++) {
		if ((value & symbol->mask) != symbol->value)
			continue;
		if (symbol->value && !(left & symbol->value))
			continue; /* part of one that was already shown */
		add(line, "%s%s", separator, symbol->name);
		separator = "|";
		left &= ~symbol->mask;
		if (symbol->mask >= 0xffffffff)
			return;
	}
	if (left || !*separator)
		add(line, left ? "%s%#" PRIx64 : "%s%" PRIu64, separator, left);
}

static void add_signal(struct line *line, int signal)
{
	const char *name = sigabbrev_np(signal);

	if (name)
		add(line, "SIG%s", name);
	else if (signal >= 32 && signal <= SANDBOX_NR_SIGNALS)
		add(line, "SIGRT_%d", signal - 32);
	else
		add(line, "%d", signal);
}

static void add_sigset(struct line *line, uint64_t set)
{
	bool inverted = __builtin_popcountll(set) > 32;
	const char *separator = "";

	add(line, inverted ? "~[" : "[");
	for (int signal = 1; signal <= SANDBOX_NR_SIGNALS; signal++) {
		if ((set >> (signal - 1) & 1) == inverted)
			continue;
		add(line, "%s", separator);
		if (sigabbrev_np(signal))
			add(line, "%s", sigabbrev_np(signal));
		else
			add(line, "RT_%d", signal - 32);
		separator = " ";
	}
	add(line, "]");
}

/* ---- Structures -------------------------------------------------------- */

static void add_mode(struct line *line, mode_t mode)
{
	static const struct sandbox_trace_symbol symbols[] = {
		{ S_IFMT, S_IFREG, "S_IFREG" },	  { S_IFMT, S_IFDIR, "S_IFDIR" },
		{ S_IFMT, S_IFCHR, "S_IFCHR" },	  { S_IFMT, S_IFBLK, "S_IFBLK" },
		{ S_IFMT, S_IFIFO, "S_IFIFO" },	  { S_IFMT, S_IFLNK, "S_IFLNK" },
		{ S_IFMT, S_IFSOCK, "S_IFSOCK" },
	};

	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		if ((mode & S_IFMT) == symbols[i].value)
			add(line, "%s|", symbols[i].name);
	add(line, "%#o", mode & ~S_IFMT);
}

static void add_stat(struct line *line, const struct stat *status)
{
	add(line, "{st_mode=");
	add_mode(line, status->st_mode);
	if (S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode))
		add(line, ", st_rdev=%#lx, ...}", (long)status->st_rdev);
	else
		add(line, ", st_size=%ld, ...}", (long)status->st_size);
}

static void add_sockaddr(struct line *line, uint64_t address, uint64_t bytes)
{
	struct sockaddr_storage storage = { 0 };
	const struct sockaddr_in *in = (void *)&storage;
	const struct sockaddr_in6 *in6 = (void *)&storage;
	const struct sockaddr_un *un = (void *)&storage;
	char text[INET6_ADDRSTRLEN];

	if (bytes > sizeof(storage))
		bytes = sizeof(storage);
	if (bytes < sizeof(storage.ss_family) || sandbox_space_read(&storage, address, bytes)) {
		add(line, "%#" PRIx64, address);
		return;
	}
	switch (storage.ss_family) {
	case AF_INET:
		add(line, "{sa_family=AF_INET, sin_port=htons(%u), sin_addr=inet_addr(\"%s\")}",
		    ntohs(in->sin_port), inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)));
		break;
	case AF_INET6:
		add(line, "{sa_family=AF_INET6, sin6_port=htons(%u), sin6_addr=\"%s\"}",
		    ntohs(in6->sin6_port),
		    inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)));
		break;
	case AF_UNIX:
		add(line, "{sa_family=AF_UNIX, sun_path=");
		add_quoted(line, un->sun_path, strnlen(un->sun_path, sizeof(un->sun_path)), false);
		add(line, "}");
		break;
	default:
		add(line, "{sa_family=%u}", storage.ss_family);
	}
}

static void add_poll(struct line *line, uint64_t address, uint64_t count)
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

	add(line, "[");
	for (uint64_t i = 0; i < count && i < MAX_SHOWN; i++) {
		struct pollfd poll;

		if (sandbox_space_read(&poll, address + i * sizeof(poll), sizeof(poll)))
			break;
		add(line, "%s{fd=%d, events=", i ? ", " : "", poll.fd);
		add_set(line, &set, (unsigned short)poll.events);
		if (poll.revents) {
			add(line, ", revents=");
			add_set(line, &set, (unsigned short)poll.revents);
		}
		add(line, "}");
	}
	add(line, count > MAX_SHOWN ? ", ...]" : "]");
}

static void add_iovec(struct line *line, uint64_t address, uint64_t count, uint64_t filled)
{
	add(line, "[");
	for (uint64_t i = 0; i < count && i < MAX_SHOWN; i++) {
		uint64_t bytes;
		struct iovec iovec;

		if (sandbox_space_read(&iovec, address + i * sizeof(iovec), sizeof(iovec)))
			break;
		bytes = iovec.iov_len < filled ? iovec.iov_len : filled;
		filled -= bytes;
		add(line, "%s{iov_base=", i ? ", " : "");
		add_data(line, (uint64_t)iovec.iov_base, bytes);
		add(line, ", iov_len=%zu}", iovec.iov_len);
	}
	add(line, count > MAX_SHOWN ? ", ...]" : "]");
}

static void add_sigaction(struct line *line, const struct sandbox_sigaction *action)
{
	if (action->handler == (uint64_t)SIG_DFL)
		add(line, "{sa_handler=SIG_DFL");
	else if (action->handler == (uint64_t)SIG_IGN)
		add(line, "{sa_handler=SIG_IGN");
	else
		add(line, "{sa_handler=%#" PRIx64, action->handler);
	add(line, ", sa_mask=");
	add_sigset(line, action->mask);
	add(line, ", sa_flags=%#" PRIx64 "}", action->flags);
}

static void add_ints(struct line *line, uint64_t address, uint64_t count)
{
	add(line, "[");
	for (uint64_t i = 0; i < count && i < MAX_SHOWN; i++) {
		int value;

		if (sandbox_space_read(&value, address + i * sizeof(value), sizeof(value)))
			break;
		add(line, "%s%d", i ? ", " : "", value);
	}
	add(line, count > MAX_SHOWN ? ", ...]" : "]");
}

static void add_limit(struct line *line, const char *name, uint64_t value)
{
	if (value == RLIM_INFINITY)
		add(line, "%s=RLIM64_INFINITY", name);
	else
		add(line, "%s=%" PRIu64, name, value);
}

/* A structure that was copied to `data`. False if this kind of argument is not one. */
static bool add_structure(struct line *line, enum sandbox_arg_show show, const void *data)
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
		add(line, "{tv_sec=%ld, tv_nsec=%ld}", time->tv_sec, time->tv_nsec);
		return true;
	case SHOW_TIMEVAL:
		add(line, "{tv_sec=%ld, tv_usec=%ld}", timeval->tv_sec, timeval->tv_usec);
		return true;
	case SHOW_RLIMIT:
		add_limit(line, "{rlim_cur", limit->rlim_cur);
		add_limit(line, ", rlim_max", limit->rlim_max);
		add(line, "}");
		return true;
	case SHOW_UTSNAME:
		add(line, "{sysname=\"%s\", nodename=\"%s\", release=\"%s\", ...}", name->sysname,
		    name->nodename, name->release);
		return true;
	case SHOW_SIGSET:
		add_sigset(line, *(const uint64_t *)data);
		return true;
	case SHOW_SIGACTION:
		add_sigaction(line, data);
		return true;
	case SHOW_LONG_AT:
		add(line, "[%ld]", *(const long *)data);
		return true;
	default:
		return false;
	}
}

/* ---- Arguments --------------------------------------------------------- */

static uint64_t count_of(const struct sandbox_call *call, const struct sandbox_arg *arg)
{
	uint64_t value;

	if (!arg->count)
		return 1;
	value = call->user[arg->count - 1];
	return call->row->arg[arg->count - 1].kind == ARG_UINT ? (uint32_t)value : value;
}

static void add_pointer(struct line *line, uint64_t address)
{
	if (address)
		add(line, "%#" PRIx64, address);
	else
		add(line, "NULL");
}

/* What is behind a pointer; the pointer itself if the call failed before it was filled. */
static void add_memory(struct line *line, const struct sandbox_call *call, int i, long result)
{
	const struct sandbox_arg *arg = &call->row->arg[i];
	uint64_t address = call->user[i], count = count_of(call, arg);
	union {
		char bytes[512];
		uint64_t align;
	} data;

	if (!address || (arg->kind == ARG_OUT && result < 0)) {
		add_pointer(line, address);
		return;
	}
	switch ((enum sandbox_arg_show)arg->show) {
	case SHOW_DATA:
		add_data(line, address,
			 arg->kind == ARG_OUT && (uint64_t)result < count ? (uint64_t)result
									  : count);
		return;
	case SHOW_INTS:
		add_ints(line, address, count * arg->bytes / sizeof(int));
		return;
	case SHOW_POLL:
		add_poll(line, address, count);
		return;
	case SHOW_SOCKADDR:
		add_sockaddr(line, address, count);
		return;
	default:
		break;
	}
	if (arg->bytes > sizeof(data) || sandbox_space_read(&data, address, arg->bytes) ||
	    !add_structure(line, arg->show, &data))
		add_pointer(line, address);
}

static void add_string(struct line *line, uint64_t address)
{
	char text[PATH_MAX];
	long length = sandbox_space_read_string(text, address, sizeof(text));

	if (length == -EFAULT)
		add_pointer(line, address);
	else
		add_quoted(line, text, strlen(text), length < 0);
}

static void add_number(struct line *line, const struct sandbox_arg *arg, uint64_t value)
{
	switch ((enum sandbox_arg_show)arg->show) {
	case SHOW_HEX:
		add(line, "%#" PRIx64, value);
		return;
	case SHOW_OCTAL:
	case SHOW_OPEN_MODE:
		add(line, "%#" PRIo64, value);
		return;
	case SHOW_UNSIGNED:
		add(line, "%" PRIu64, value);
		return;
	case SHOW_SIGNAL:
		add_signal(line, value);
		return;
	case SHOW_AT_FD:
		if ((int)value == AT_FDCWD)
			add(line, "AT_FDCWD");
		else
			add(line, "%d", (int)value);
		return;
	case SHOW_SET:
		add_set(line, arg->set, arg->kind == ARG_INT ? (uint32_t)value : value);
		return;
	default:
		add(line, "%" PRId64, value);
	}
}

static void add_argument(struct line *line, const struct sandbox_call *call, int i, long result)
{
	const struct sandbox_arg *arg = &call->row->arg[i];
	uint64_t value = call->user[i];

	switch ((enum sandbox_arg_kind)arg->kind) {
	case ARG_NONE:
		break;
	case ARG_INT:
	case ARG_FD:
		add_number(line, arg, (int64_t)(int32_t)value);
		break;
	case ARG_UINT:
		add_number(line, arg, (uint32_t)value);
		break;
	case ARG_LONG:
		add_number(line, arg, value);
		break;
	case ARG_ADDRESS:
		add_pointer(line, value);
		break;
	case ARG_STRING:
		if (value)
			add_string(line, value);
		else
			add(line, "NULL");
		break;
	case ARG_IN:
	case ARG_OUT:
	case ARG_INOUT:
		add_memory(line, call, i, result);
		break;
	case ARG_IN_IOVEC:
		add_iovec(line, value, count_of(call, arg), UINT64_MAX);
		break;
	case ARG_OUT_IOVEC:
		if (result < 0)
			add_pointer(line, value);
		else
			add_iovec(line, value, count_of(call, arg), result);
		break;
	case ARG_OUT_SIZED:
		if (result >= 0 && value && arg->show == SHOW_SOCKADDR)
			add_sockaddr(line, value, call->size);
		else
			add_pointer(line, value);
		break;
	case ARG_SIZE:
		if (value)
			add(line, "[%u]", call->size);
		else
			add(line, "NULL");
		break;
	case ARG_SIGSET:
		add_pointer(line, value);
		break;
	}
}

/* ---- Lines ------------------------------------------------------------- */

static void add_result(struct line *line, const struct sandbox_call *call, long result)
{
	if (call->row && call->row->does_not_return)
		add(line, " = ?");
	else if (result < 0 && result >= -4095 && strerrorname_np(-result))
		add(line, " = -1 %s (%s)", strerrorname_np(-result), strerrordesc_np(-result));
	else if (call->row && call->row->shows_address)
		add(line, " = %#lx", result);
	else
		add(line, " = %ld", result);
}

/* The mode of open() is only there if the call may create a file. */
static bool is_shown(const struct sandbox_call *call, int i)
{
	const struct sandbox_arg *arg = &call->row->arg[i];

	if (arg->kind == ARG_NONE)
		return false;
	if (arg->show == SHOW_OPEN_MODE)
		return call->user[i - 1] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY));
	return true;
}

size_t sandbox_trace_format(char *text, size_t bytes, const struct sandbox_call *call, long result)
{
	struct line line = { text, 0, bytes - 1 };

	if (call->row) {
		add(&line, "%s(", call->row->name);
		for (int i = 0; i < SANDBOX_NR_ARGS; i++) {
			if (!is_shown(call, i))
				continue;
			add(&line, "%s", i ? ", " : "");
			add_argument(&line, call, i, result);
		}
	} else {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, call->nr);

		if (name)
			add(&line, "%s(", name);
		else
			add(&line, "syscall_%#lx(", call->nr);
		free(name);
		for (int i = 0; i < SANDBOX_NR_ARGS; i++)
			add(&line, "%s%#" PRIx64, i ? ", " : "", call->user[i]);
	}
	add(&line, ")");
	while (line.length < 39 && line.length + 1 < line.bytes)
		line.text[line.length++] = ' ';
	line.text[line.length] = '\0';
	add_result(&line, call, result);
	line.text[line.length++] = '\n';
	line.text[line.length] = '\0';
	return line.length;
}

static void put(int fd, const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t written = write(fd, text, bytes);

		if (written <= 0)
			return; /* a trace that cannot be written does not stop the program */
		text += written;
		bytes -= written;
	}
}

/* As strace has it: children say who they are. One write for each line. */
static size_t add_pid(char text[PID_BYTES], bool is_child)
{
	return is_child ? snprintf(text, PID_BYTES, "[pid %5d] ", getpid()) : 0;
}

void sandbox_trace_call(const struct sandbox_call *call, long result)
{
	char text[LINE_BYTES];
	size_t length = add_pid(text, call->box->is_child);

	length += sandbox_trace_format(text + length, sizeof(text) - length, call, result);
	put(call->box->trace_fd, text, length);
}

void sandbox_trace_end(int fd, bool is_child, const struct sandbox_end *end)
{
	char text[64 + PID_BYTES];
	int length = add_pid(text, is_child);

	if (end->signal)
		length += snprintf(text + length, 64, "+++ killed by SIG%s +++\n",
				   sigabbrev_np(end->signal) ?: "?");
	else
		length += snprintf(text + length, 64, "+++ exited with %d +++\n", end->status);
	put(fd, text, length);
}
