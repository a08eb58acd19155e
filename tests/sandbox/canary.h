/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attacks with addresses of the sandbox itself. Its environment is the canary: the program in the
 * sandbox learns where it lies from /proc/self/stat, and outside it can be read from
 * /proc/PID/environ while that program waits.
 */
#ifndef DUNE_TESTS_CANARY_H
#define DUNE_TESTS_CANARY_H

#include "sandboxed.h"

/* ---- Inside -------------------------------------------------------------- */

#define PAGE_BYTES 4096

extern char *page; /* of the program's own, for what is not under attack */
extern long zero;  /* a descriptor with something to read, and room to write */

/* Comes first: makes these two. */
void set_up_attack(void);
uint64_t canary_address(void);
/* Comes last: the parent looks at the canary now. */
void wait_for_parent(void);

/* ---- Outside ------------------------------------------------------------- */

/* An inside_test() after which the canary must be as it was. */
#define canary_test(function)                                                                    \
	{                                                                                        \
		.name = #function, .test_func = canary_lives, .initial_state = (void *)#function \
	}

void canary_lives(void **state);

#endif
