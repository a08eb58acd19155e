/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether the kernel gets back what it gave: a memory cgroup counts each page and
 * object that it holds on behalf of the processes in the group, dead ones too.
 */
#ifndef DUNE_TESTS_LEAKS_H
#define DUNE_TESTS_LEAKS_H

/* Ends the test as skipped where there are no memory cgroups. */
void leaks_begin(void);
void leaks_end(void);

/* This process and its children count from here on. */
void leaks_count_me(void);

/* Waits until no more than this is held, for a few seconds; what is held then. */
long leaks_settled_bytes(long wanted);

/* Of dune.ko, or -1; the lowest in a few seconds, if not 0 at once. */
long leaks_module_references(void);

#endif
