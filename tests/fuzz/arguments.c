// SPDX-License-Identifier: GPL-2.0-only
/* Pointers of every kind; see fuzzer.h. */
#define _GNU_SOURCE
#include "fuzzer.h"

enum { PAGE = 4096 };

/*
 * The scratch area of a thread: one page that is there, one that is not, one
 * without rights.
 */
static char *scratch_of(struct fuzzer *fuzzer)
{
	return fuzzer->world->scratch + fuzzer->thread * 4 * PAGE;
}

static struct argument good(char *to, const void *contents, size_t bytes)
{
	memcpy(to, contents, bytes);
	return (struct argument){ to, true, true };
}

/* While others write there, too. */
static char *shared_scratch(struct fuzzer *fuzzer)
{
	return fuzzer->world->scratch + NR_THREADS * 4 * PAGE;
}

static struct argument bad(struct fuzzer *fuzzer, size_t bytes)
{
	char *scratch = scratch_of(fuzzer);
	char *const pointers[] = {
		NULL,
		(char *)1,
		(char *)8,
		(char *)0xffff888000001000,
		(char *)0xffffffff81000000,
		(char *)0x8000000000001000,
		(char *)0x00007ffffffff000,
		(char *)0x0000800000000000 - 8,
		(char *)-8ul,
		(char *)-1ul,
		scratch + PAGE,
		scratch + 2 * PAGE + 8,
		scratch + PAGE - bytes + 1,
		scratch + PAGE - bytes / 2,
		scratch + PAGE - 1,
	};

	return (struct argument){
		.pointer = pointers[random_below(&fuzzer->random,
						 sizeof(pointers) / sizeof(pointers[0]))],
	};
}

struct argument random_argument(struct fuzzer *fuzzer, const void *contents, size_t bytes)
{
	char *scratch = scratch_of(fuzzer);
	struct world *world = fuzzer->world;

	switch (random_below(&fuzzer->random, 8)) {
	case 0:
		return bad(fuzzer, bytes);
	case 1:
		return good(scratch + 1 + random_below(&fuzzer->random, 64), contents, bytes);
	case 2: /* the last bytes of the page */
		return good(scratch + PAGE - bytes, contents, bytes);
	case 3:
		if (!world->exact)
			return good(shared_scratch(fuzzer), contents, bytes);
		memcpy(world->readable_alias, contents, bytes);
		return (struct argument){ world->readable, true, false };
	default:
		return good(scratch, contents, bytes);
	}
}
