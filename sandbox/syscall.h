/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls of ring 3: what a row of the table says, and the state of one call on its way
 * through syscall.c. The rows are in syscall_table.c; the emulate_ functions in memory.c,
 * mremap.c, file.c, descriptor.c, readiness.c, socket.c, signals.c and process.c. trace.c shows calls by the same
 * rows.
 */
#ifndef SANDBOX_SYSCALL_H
#define SANDBOX_SYSCALL_H

#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "descriptor.h"
#include "space.h"

struct dune_frame;
struct sandbox;
struct sandbox_call;

/* How an argument is checked, and what is forwarded in its place. */
enum sandbox_arg_kind {
	ARG_NONE,     /* not an argument: forwarded as 0 */
	ARG_LONG,     /* any 64-bit number, as it is */
	ARG_INT,      /* sign-extended from 32 bits */
	ARG_UINT,     /* zero-extended from 32 bits */
	ARG_FD,	      /* as ARG_INT; a descriptor of the runtime is -EBADF */
	ARG_ADDRESS,  /* a number that neither the kernel nor we follow, or that emulate_ checks */
	ARG_STRING,   /* copied with its NUL, forwarded from the copy */
	ARG_IN,	      /* the kernel reads bytes * (count ? argument count - 1 : 1) bytes */
	ARG_OUT,      /* writes as many */
	ARG_INOUT,    /* both */
	ARG_IN_IOVEC, /* an array of iovecs; the number of them is in argument count - 1 */
	ARG_OUT_IOVEC,
	ARG_OUT_SIZED, /* writes as many bytes as the ARG_SIZE in argument count - 1 says */
	ARG_SIZE,      /* a socklen_t read and written; forwarded from a copy */
};

/* How trace.c shows it; SHOW_KIND: the kind says all. */
enum sandbox_arg_show {
	SHOW_KIND,
	SHOW_HEX,
	SHOW_OCTAL,
	SHOW_UNSIGNED,
	SHOW_AT_FD,	/* AT_FDCWD or a number */
	SHOW_SET,	/* symbols */
	SHOW_OPEN_MODE, /* octal, only if the flags before it create a file */
	SHOW_SIGNAL,
	SHOW_DATA,    /* bytes as a string */
	SHOW_INTS,    /* array of int */
	SHOW_LONG_AT, /* pointer to a long */
	SHOW_STAT,
	SHOW_TIMESPEC,
	SHOW_TIMEVAL,
	SHOW_RLIMIT,
	SHOW_UTSNAME,
	SHOW_POLL,
	SHOW_SOCKADDR,
	SHOW_SIGSET,
	SHOW_SIGACTION,
};

struct sandbox_trace_set;

struct sandbox_arg {
	uint8_t kind;	/* enum sandbox_arg_kind */
	uint8_t show;	/* enum sandbox_arg_show */
	uint8_t count;	/* 1 + number of the argument that says how many; 0: one */
	bool optional;	/* NULL is passed on */
	uint16_t bytes; /* of each */
	const struct sandbox_trace_set *set; /* SHOW_SET */
};

enum sandbox_action {
	ACTION_UNKNOWN, /* no row: -ENOSYS */
	ACTION_ALLOW,	/* checked and forwarded */
	ACTION_EMULATE, /* checked and given to the row's function */
	ACTION_DENY,	/* -error, unseen */
};

#define SANDBOX_NR_ARGS 6

struct sandbox_row {
	const char *name;
	uint8_t action;	    /* enum sandbox_action */
	bool shows_address; /* the result is one */
	bool does_not_return;
	int error; /* ACTION_DENY */
	long (*emulate)(struct sandbox_call *call);
	struct sandbox_arg arg[SANDBOX_NR_ARGS];
};

/* The row for a number as ring 3 gave it; NULL where there is none. Safe against speculation. */
const struct sandbox_row *sandbox_table_row(uint64_t nr);

/* Numbers are below this. */
unsigned sandbox_table_size(void);

/* One call of one thread. Large: lives in the context, not on the trap stack. */
struct sandbox_call {
	struct sandbox *box;
	struct dune_frame *frame;
	const struct sandbox_row *row;
	long nr;
	uint64_t user[SANDBOX_NR_ARGS]; /* as ring 3 gave them */
	uint64_t
		arg[SANDBOX_NR_ARGS]; /* as they are forwarded: numbers, checked pointers, copies */
	unsigned nr_strings;
	char string[2][PATH_MAX];
	uint32_t size; /* the copy of an ARG_SIZE */
	bool ended;    /* it was the program's last */
	union {	       /* copies of what some calls point to */
		struct iovec iovec[SANDBOX_MAX_IOVEC];
		struct pollfd poll[SANDBOX_MAX_FDS];
		uint64_t set[3][SANDBOX_FD_WORDS]; /* of select */
	};
};

/* Checks and converts all arguments. 0, or the error that ring 3 gets. */
long sandbox_call_prepare(struct sandbox_call *call);

/* Forwards the call with its prepared arguments; the result. */
long sandbox_call_forward(struct sandbox_call *call);

/* All of it: row, arguments, action, trace. The result is in frame->rax. */
void sandbox_call_handle(struct sandbox *box, struct dune_frame *frame);

#endif
