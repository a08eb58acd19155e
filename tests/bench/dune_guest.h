/* SPDX-License-Identifier: GPL-2.0-only */
/* Code that dune.c copies into an arena and calls in ring 3. */
#ifndef DUNE_BENCH_DUNE_GUEST_H
#define DUNE_BENCH_DUNE_GUEST_H

extern const char ring3_code[], ring3_code_end[];
extern const char ring3_code_return[];	 /* returns at once */
extern const char ring3_code_syscalls[]; /* makes as many system calls as it is told */

#endif
