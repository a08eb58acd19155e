/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where dune.ko calls functions of the kernel, as its relocations say; by this
 * failed_calls_leave_nothing.c knows that it has left none out.
 */
#ifndef DUNE_TESTS_CALL_SITES_H
#define DUNE_TESTS_CALL_SITES_H

#include <stdbool.h>
#include <stddef.h>

enum { MAX_SITES = 512, MAX_SITE_NAMES = 3 };

struct call_site {
	char symbol[64]; /* called */
	/* Where it returns to, as the kernel prints it: "function+0x12". */
	char place[MAX_SITE_NAMES][80];
	bool is_jump; /* … unless the call is the function's last deed */
	bool reached;
};

struct call_sites {
	struct call_site site[MAX_SITES];
	size_t count;
};

/* NULL, or what is wrong with the file. */
const char *call_sites_read(struct call_sites *sites, const char *path);

/* Whether there is a call of it. */
bool call_sites_have(const struct call_sites *sites, const char *symbol);

/*
 * Marks the place that the call came from ("function+0x12/0x34 [dune]"). A place that
 * is none is the caller of a function that ended with a jump.
 */
void call_sites_reach(struct call_sites *sites, const char *symbol, const char *place);

#endif
