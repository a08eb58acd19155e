/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is tried while calls of the kernel fail: all that a user of the device does, and
 * who loads the module. See failed_calls_leave_nothing.c.
 */
#ifndef DUNE_TESTS_ATTEMPTS_H
#define DUNE_TESTS_ATTEMPTS_H

/* The memory, state and KVM VM that all attempts use. */
void attempts_prepare(void);
/* The first error, or 0. */
int attempt_use(void);
int attempt_load(void);
/* In a child, whose memory is accounted; the same. */
int attempt_in_child(int (*attempt)(void));

#endif
