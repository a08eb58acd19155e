// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shows system calls as strace does. syscall.c calls it after each call when --trace is on; the
 * rows of syscall_table.c say what every argument is, trace_sets.c has the names, trace_line.c and
 * trace_struct.c how values look.
 */
#include "trace.h"
#include "process.h"
#include "sandbox.h"
#include "space.h"
#include "syscall.h"
#include "trace_line.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 8192
#define PID_BYTES  24 /* "[pid 12345] " */

/* ---- Arguments --------------------------------------------------------- */

static uint64_t count_of(const struct sandbox_call *call, const struct sandbox_arg *arg)
{
	uint64_t value;

	if (!arg->count)
		return 1;
	value = call->user[arg->count - 1];
	return call->row->arg[arg->count - 1].kind == ARG_UINT ? (uint32_t)value : value;
}

static void add_pointer(struct sandbox_line *line, uint64_t address)
{
	if (address)
		sandbox_line_add(line, "%#" PRIx64, address);
	else
		sandbox_line_add(line, "NULL");
}

/* What is behind a pointer; the pointer itself if the call failed before it was filled. */
static void add_memory(struct sandbox_line *line, const struct sandbox_call *call, int i,
		       long result)
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
		sandbox_line_add_data(line, address,
				      arg->kind == ARG_OUT && (uint64_t)result < count
					      ? (uint64_t)result
					      : count);
		return;
	case SHOW_INTS:
		sandbox_line_add_ints(line, address, count * arg->bytes / sizeof(int));
		return;
	case SHOW_POLL:
		sandbox_line_add_poll(line, address, count);
		return;
	case SHOW_SOCKADDR:
		sandbox_line_add_sockaddr(line, address, count);
		return;
	default:
		break;
	}
	if (arg->bytes > sizeof(data) || sandbox_space_read(&data, address, arg->bytes) ||
	    !sandbox_line_add_structure(line, arg->show, &data))
		add_pointer(line, address);
}

static void add_string(struct sandbox_line *line, uint64_t address)
{
	char text[PATH_MAX];
	long length = sandbox_space_read_string(text, address, sizeof(text));

	if (length == -EFAULT)
		add_pointer(line, address);
	else
		sandbox_line_add_quoted(line, text, strlen(text), length < 0);
}

static void add_number(struct sandbox_line *line, const struct sandbox_arg *arg, uint64_t value)
{
	switch ((enum sandbox_arg_show)arg->show) {
	case SHOW_HEX:
		sandbox_line_add(line, "%#" PRIx64, value);
		return;
	case SHOW_OCTAL:
	case SHOW_OPEN_MODE:
		sandbox_line_add(line, "%#" PRIo64, value);
		return;
	case SHOW_UNSIGNED:
		sandbox_line_add(line, "%" PRIu64, value);
		return;
	case SHOW_SIGNAL:
		sandbox_line_add_signal(line, value);
		return;
	case SHOW_AT_FD:
		if ((int)value == AT_FDCWD)
			sandbox_line_add(line, "AT_FDCWD");
		else
			sandbox_line_add(line, "%d", (int)value);
		return;
	case SHOW_SET:
		sandbox_line_add_set(line, arg->set,
				     arg->kind == ARG_INT ? (uint32_t)value : value);
		return;
	default:
		sandbox_line_add(line, "%" PRId64, value);
	}
}

static void add_argument(struct sandbox_line *line, const struct sandbox_call *call, int i,
			 long result)
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
			sandbox_line_add(line, "NULL");
		break;
	case ARG_IN:
	case ARG_OUT:
	case ARG_INOUT:
		add_memory(line, call, i, result);
		break;
	case ARG_IN_IOVEC:
		sandbox_line_add_iovec(line, value, count_of(call, arg), UINT64_MAX);
		break;
	case ARG_OUT_IOVEC:
		if (result < 0)
			add_pointer(line, value);
		else
			sandbox_line_add_iovec(line, value, count_of(call, arg), result);
		break;
	case ARG_OUT_SIZED:
		if (result >= 0 && value && arg->show == SHOW_SOCKADDR)
			sandbox_line_add_sockaddr(line, value, call->size);
		else
			add_pointer(line, value);
		break;
	case ARG_SIZE:
		if (value)
			sandbox_line_add(line, "[%u]", call->size);
		else
			sandbox_line_add(line, "NULL");
		break;
	}
}

/* ---- Lines ------------------------------------------------------------- */

static void add_result(struct sandbox_line *line, const struct sandbox_call *call, long result)
{
	if (call->row && call->row->does_not_return)
		sandbox_line_add(line, " = ?");
	else if (result < 0 && result >= -4095 && strerrorname_np(-result))
		sandbox_line_add(line, " = -1 %s (%s)", strerrorname_np(-result),
				 strerrordesc_np(-result));
	else if (call->row && call->row->shows_address)
		sandbox_line_add(line, " = %#lx", result);
	else
		sandbox_line_add(line, " = %ld", result);
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
	struct sandbox_line line = { text, 0, bytes - 1 };

	if (call->row) {
		sandbox_line_add(&line, "%s(", call->row->name);
		for (int i = 0; i < SANDBOX_NR_ARGS; i++) {
			if (!is_shown(call, i))
				continue;
			sandbox_line_add(&line, "%s", i ? ", " : "");
			add_argument(&line, call, i, result);
		}
	} else {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, call->nr);

		if (name)
			sandbox_line_add(&line, "%s(", name);
		else
			sandbox_line_add(&line, "syscall_%#lx(", call->nr);
		free(name);
		for (int i = 0; i < SANDBOX_NR_ARGS; i++)
			sandbox_line_add(&line, "%s%#" PRIx64, i ? ", " : "", call->user[i]);
	}
	sandbox_line_add(&line, ")");
	while (line.length < 39 && line.length + 1 < line.bytes)
		line.text[line.length++] = ' ';
	line.text[line.length] = '\0';
	add_result(&line, call, result);
	line.text[line.length++] = '\n';
	line.text[line.length] = '\0';
	return line.length;
}

/* A trace that cannot be written does not stop the program, nor do the signals that say so. */
static void put(int fd, const char *text, size_t bytes)
{
	const struct timespec at_once = { 0 };
	ssize_t written = 0;
	sigset_t signals, before;

	sigemptyset(&signals);
	sigaddset(&signals, SIGPIPE);
	sigaddset(&signals, SIGXFSZ);
	sigprocmask(SIG_BLOCK, &signals, &before);
	for (; bytes > 0; text += written, bytes -= written) {
		written = write(fd, text, bytes);
		if (written <= 0)
			break;
	}
	if (written < 0 && (errno == EPIPE || errno == EFBIG))
		sigtimedwait(&signals, NULL, &at_once);
	sigprocmask(SIG_SETMASK, &before, NULL);
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
