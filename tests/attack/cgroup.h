/* SPDX-License-Identifier: GPL-2.0-only */
/* One control group of this test, for its children; version 2 of cgroups. */
#ifndef DUNE_TESTS_CGROUP_H
#define DUNE_TESTS_CGROUP_H

#include "harness.h"

/* Skips the test where there is no such controller ("" asks for none). */
void cgroup_create(const char *controller);
/* Its children have to be gone. */
void cgroup_remove(void);
/* The calling process goes into it. */
void cgroup_enter(void);
void cgroup_write(const char *file, const char *text);
/* The number in a file, or behind a key in it. */
long cgroup_read(const char *file, const char *key);
/* Waits until cgroup_read() gives no more than this; the last number. */
long cgroup_wait_below(const char *file, const char *key, long most);

#endif
