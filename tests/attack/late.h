/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory whose second page comes late: who touches it waits until the test says
 * what is in it. userfaultfd does it for memory, a file system of one's own
 * (FUSE) for files.
 */
#ifndef DUNE_TESTS_LATE_H
#define DUNE_TESTS_LATE_H

#include "harness.h"

enum { LATE_PAGE = 4096 };

struct late {
	char *pages; /* two: the first is there, writable */
	int fd;
	void (*wait)(struct late *late);
	void (*fill)(struct late *late, const void *page);
};

/* The second page is not there at all. */
void late_userfault(struct late *late);
/* It is there, zero, but who writes to it waits; what it is filled with is void. */
void late_write(struct late *late);
/* It is a file's; false if the kernel has no FUSE. */
_Bool late_file(struct late *late);

/* Waits until somebody waits for the second page. */
static inline void late_wait(struct late *late)
{
	late->wait(late);
}

/* Lets it go on. */
static inline void late_fill(struct late *late, const void *page)
{
	late->fill(late, page);
}

#endif
