/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one sandbox tells the next: execve() of a sandboxed program runs dune-sandbox again, which
 * finds here what to run. It is a sealed file in memory rather than arguments and environment,
 * for those are the program's: LD_PRELOAD of its choosing must not reach ld.so of a sandbox.
 */
#ifndef SANDBOX_HANDOVER_H
#define SANDBOX_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Strings with a NULL after the last. */
struct sandbox_strings {
	char **item;
	size_t count, room;
	size_t bytes; /* of all strings, with their NULs */
};

struct sandbox_handover {
	int trace_fd, report_fd; /* stay open across execve(); -1: none */
	int program_fd;		 /* does, too: the name may be gone, as that of a descriptor is */
	bool count, is_child;
	uint64_t blocked; /* signals */
	char *path;	  /* its name, with a slash in it */
	struct sandbox_strings argv, envp;
};

/* Appends a copy; puts a copy before the first. 0 or -ENOMEM. */
int sandbox_strings_add(struct sandbox_strings *strings, const char *string);
int sandbox_strings_insert(struct sandbox_strings *strings, const char *string);
void sandbox_strings_destroy(struct sandbox_strings *strings);

/* A descriptor, close-on-exec, or -errno. */
int sandbox_handover_write(const struct sandbox_handover *handover);

/* Reads what was written, and closes fd. 0 or -errno; what was read stays until the process ends. */
int sandbox_handover_read(int fd, struct sandbox_handover *handover);

#endif
