/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one sandbox tells the next: execve() of a sandboxed program runs dune-sandbox again, with
 *
 *   argv  dune-sandbox  --handover=...  path  the program's argv
 *   envp  LD_LIBRARY_PATH=...  the program's envp, a '+' before each
 *
 * so that what is too large the kernel itself refuses. The '+' is there because ld.so of a sandbox
 * must not hear of an LD_PRELOAD of the program's choosing; nor does the user's environment get here,
 * where the working directory is the program's (libraries.h).
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
};

/* Appends a copy; puts a copy before the first. 0 or -ENOMEM. */
int sandbox_strings_add(struct sandbox_strings *strings, const char *string);
int sandbox_strings_insert(struct sandbox_strings *strings, const char *string);
void sandbox_strings_destroy(struct sandbox_strings *strings);

#define SANDBOX_HANDOVER_MARK '+' /* before each string of the program's envp */

/* Puts what comes first before the program's argv, and before its marked envp. 0 or -ENOMEM. */
int sandbox_handover_write(const struct sandbox_handover *handover, const char *path,
			   const char *libraries, struct sandbox_strings *argv,
			   struct sandbox_strings *envp);

/* True if a sandbox was started with this argv by another one. */
bool sandbox_handover_is_one(char *const *argv);

/*
 * Reads what was written into main()'s argv, of which argv[2] is the path and argv + 3 the program's.
 * 0 or -EINVAL.
 */
int sandbox_handover_read(char *const *argv, struct sandbox_handover *handover);

/* The program's envp, out of that of the process, whose strings it shares. NULL: no memory. */
char **sandbox_handover_envp(char *const *envp);

#endif
