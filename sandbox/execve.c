// SPDX-License-Identifier: GPL-2.0-only
/*
 * New programs: execve() and execveat(). The process runs dune-sandbox again, with a fresh runtime
 * and fresh arenas, and hands over what to run (handover.c). Whatever the kernel would refuse is
 * refused while there is a program to return to. Called from syscall.c in ring 0.
 */
#include "child.h"
#include "descriptor.h"
#include "file.h"
#include "handover.h"
#include "image.h"
#include "loader.h"
#include "sandbox.h"
#include "space.h"
#include "trace.h"

#include <dune.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Limits of the kernel: of one string, and of all of them with any stack. */
#define MAX_STRING_BYTES 131072
#define MAX_ALL_BYTES	 (6u << 20)
#define STACK_REST_BYTES 8192 /* what else stack.c puts there, a path among it */
#define MAX_SCRIPTS	 4    /* interpreters that are scripts themselves */
#define SCRIPT_BYTES	 256

/* ---- What the program asks for ------------------------------------------- */

/* What a program is started with. */
struct start {
	char *path; /* has a slash in it */
	int fd;	    /* of the program itself, once it was found */
	struct sandbox_strings argv, envp;
};

static size_t all_bytes(const struct sandbox_strings *strings)
{
	return strings->bytes + strings->count * sizeof(char *);
}

/* For stack.c, that is: the kernel sees for itself what is too large for its own stack. */
static bool too_large(const struct start *next)
{
	return all_bytes(&next->argv) + all_bytes(&next->envp) >
	       sandbox_stack_bytes() / 4 - STACK_REST_BYTES;
}

/* Copies an array of strings, with these letters before each; a NULL array is an empty one. */
static long read_strings(struct sandbox_strings *strings, uint64_t from, const char *mark)
{
	size_t marks = strlen(mark);
	char *text = malloc(marks + MAX_STRING_BYTES);
	uint64_t address;
	long result = text ? 0 : -ENOMEM;

	if (text)
		memcpy(text, mark, marks);
	for (; !result && from; from += sizeof(address)) {
		result = sandbox_space_read(&address, from, sizeof(address));
		if (result || !address)
			break;
		result = sandbox_space_read_string(text + marks, address, MAX_STRING_BYTES);
		if (result == -ENAMETOOLONG || all_bytes(strings) > MAX_ALL_BYTES)
			result = -E2BIG;
		if (result >= 0)
			result = sandbox_strings_add(strings, text);
	}
	free(text);
	return result;
}

/* ---- What will be run ----------------------------------------------------- */

/* A name without a slash is in this directory: execve() has no search path. NULL: no memory. */
static char *full_path(const char *name)
{
	char *path;

	return asprintf(&path, "%s%s", strchr(name, '/') ? "" : "./", name) < 0 ? NULL : path;
}

/*
 * The first line of a script: its interpreter becomes the program, whose arguments are the one in
 * the line, if any, and the script's path in place of argv[0].
 */
static long use_interpreter(struct start *next, char line[SCRIPT_BYTES])
{
	char *interpreter = line + 2, *argument, *end;
	long result = 0;

	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	for (end = line + strlen(line); end > line + 2 && strchr(" \t", end[-1]); end--)
		end[-1] = '\0';
	interpreter += strspn(interpreter, " \t");
	if (!*interpreter)
		return -ENOEXEC;
	argument = interpreter + strcspn(interpreter, " \t");
	if (*argument) {
		*argument++ = '\0';
		argument += strspn(argument, " \t");
	}
	if (next->argv.count) {
		free(next->argv.item[0]);
		next->argv.item[0] = next->path;
		next->argv.bytes += strlen(next->path); /* more than it is does no harm */
	} else {
		result = sandbox_strings_add(&next->argv, next->path);
		free(next->path);
	}
	next->path = NULL;
	if (!result && *argument)
		result = sandbox_strings_insert(&next->argv, argument);
	if (!result)
		result = sandbox_strings_insert(&next->argv, interpreter);
	next->path = full_path(interpreter);
	return next->path ? result : -ENOMEM;
}

/* Whether what is open as fd can be run; its first bytes, which are NULs if it is shorter. */
static long check_program(int fd, char line[SCRIPT_BYTES])
{
	static struct sandbox_image image; /* too large for a stack */
	struct stat status;
	const char *why;

	memset(line, 0, SCRIPT_BYTES);
	if (fstat(fd, &status) || !S_ISREG(status.st_mode) ||
	    pread(fd, line, SCRIPT_BYTES - 1, 0) < 0)
		return -EACCES;
	if (!memcmp(line, "#!", 2))
		return 0;
	return sandbox_image_read(fd, &image, &why) ?: sandbox_interpreter_check(image.interpreter);
}

/* Finds the program behind scripts, and sees whether it can be run. It stays open. */
static long find_program(const struct sandbox *box, struct start *next)
{
	static struct sandbox_program program; /* too large for a stack */
	char own[SANDBOX_OWN_PATH_BYTES];

	for (int scripts = 0; scripts <= MAX_SCRIPTS; scripts++) {
		int fd = sandbox_program_open(&program, sandbox_file_opened(box, next->path, own));
		char line[SCRIPT_BYTES];
		long result = fd < 0 ? fd : check_program(fd, line);

		if (!result && memcmp(line, "#!", 2)) {
			next->fd = sandbox_fds_move_high(fd);
			return 0;
		}
		if (fd >= 0)
			close(fd);
		if (!result)
			result = use_interpreter(next, line);
		if (result)
			return result;
	}
	return -ELOOP;
}

/* ---- Running it ------------------------------------------------------------- */

static void keep_across_exec(int fd, bool keep)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

static void keep_all(const struct sandbox_handover *handover, bool keep)
{
	keep_across_exec(handover->trace_fd, keep);
	keep_across_exec(handover->report_fd, keep);
	keep_across_exec(handover->program_fd, keep);
}

/* Only returns if it fails. */
static long run_next(const struct sandbox_call *call, struct start *next)
{
	const struct sandbox *box = call->box;
	const struct sandbox_handover handover = {
		.trace_fd = box->trace_fd,
		.report_fd = box->report_fd,
		.program_fd = next->fd,
		.count = box->count,
		.is_child = box->is_child,
	};
	long result = sandbox_handover_write(&handover, next->path, box->libraries, &next->argv,
					     &next->envp);

	if (result)
		return result;
	if (box->trace_fd >= 0)
		sandbox_trace_call(call, 0);
	sandbox_child_leave(call->box);
	keep_all(&handover, true);
	sandbox_signals_drop_handlers(&box->signals, true);
	result = dune_syscall(SYS_execve, (long)"/proc/self/exe", (long)next->argv.item,
			      (long)next->envp.item, 0, 0, 0);
	sandbox_signals_drop_handlers(&box->signals, false);
	keep_all(&handover, false);
	return result;
}

/* path is a copy in ring 0. */
static long run_program(struct sandbox_call *call, const char *path, uint64_t argv, uint64_t envp)
{
	static const char mark[] = { SANDBOX_HANDOVER_MARK, '\0' };
	struct start next = { .fd = -1 };
	long result;

	if (!*path)
		return -ENOENT;
	next.path = full_path(path);
	result = next.path ? read_strings(&next.argv, argv, "") : -ENOMEM;
	if (!result)
		result = read_strings(&next.envp, envp, mark);
	if (!result)
		result = find_program(call->box, &next);
	if (!result && too_large(&next))
		result = -E2BIG;
	if (!result)
		result = run_next(call, &next);
	if (next.fd >= 0)
		close(next.fd);
	sandbox_strings_destroy(&next.argv);
	sandbox_strings_destroy(&next.envp);
	free(next.path);
	return result;
}

long emulate_execve(struct sandbox_call *call)
{
	return run_program(call, (char *)call->arg[0], call->arg[1], call->arg[2]);
}

/* Relative to a directory, or of a descriptor, only by the name that /proc has for it. */
long emulate_execveat(struct sandbox_call *call)
{
	const char *path = (char *)call->arg[1];
	char *full;
	long result;

	if (call->arg[4] & ~(uint64_t)AT_EMPTY_PATH)
		return -EINVAL;
	if (*path == '/' || (int)call->arg[0] == AT_FDCWD)
		return run_program(call, path, call->arg[2], call->arg[3]);
	if (!*path && !(call->arg[4] & AT_EMPTY_PATH))
		return -ENOENT;
	if (asprintf(&full, "/proc/self/fd/%d%s%s", (int)call->arg[0], *path ? "/" : "", path) < 0)
		return -ENOMEM;
	result = run_program(call, full, call->arg[2], call->arg[3]);
	free(full);
	return result;
}
