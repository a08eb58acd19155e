/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Brings a program into the arenas: finds it, checks it, maps it and its interpreter, makes stack
 * and heap. main.c calls it after dune_init() and before dune_enter().
 */
#ifndef SANDBOX_LOADER_H
#define SANDBOX_LOADER_H

#include <limits.h>
#include <stdint.h>

/* Exit status for a program that cannot be run, as in every shell. */
#define SANDBOX_EXIT_FAILED	    125 /* the sandbox itself */
#define SANDBOX_EXIT_NOT_EXECUTABLE 126
#define SANDBOX_EXIT_NOT_FOUND	    127

struct sandbox_memory;

struct sandbox_program {
	char path[PATH_MAX];	   /* what was opened, as it was named */
	char executable[PATH_MAX]; /* the same as /proc/self/exe would have it */
	int fd;			   /* the file, which may have lost its name */
	uint64_t entry, stack;	   /* rip and rsp to start with */
};

/*
 * Looks the name up as a shell does: as it is if it has a slash, else along PATH. The open file's
 * descriptor with the names in *program set, or -errno.
 */
int sandbox_program_open(struct sandbox_program *program, const char *name);

/*
 * The same for a program that another sandbox has opened, and calls by this name. fd, or -errno after
 * closing it.
 */
int sandbox_program_take(struct sandbox_program *program, const char *name, int fd);

/* The size of a program's stack. */
uint64_t sandbox_stack_bytes(void);

/* Whether a program can have this interpreter; "" is none. 0 or -errno, as execve() says it. */
int sandbox_interpreter_check(const char *path);

/*
 * Loads the program open on fd, with arenas made as it needs them. 0, or the exit status to end
 * with after a message on stderr. fd stays open, and is the program's.
 */
int sandbox_program_load(struct sandbox_program *program, struct sandbox_memory *memory, int fd,
			 char *const *argv, char *const *envp);

#endif
