// SPDX-License-Identifier: GPL-2.0-only
/* The rarer half of random.h. */
#include "random.h"

#include <string.h>

/* Ends of ranges: of types, of pages, of the user's half, of canonical addresses. */
static const uint64_t edges[] = {
	0,
	1,
	8,
	0xfff,
	0x1000,
	0x7fff,
	0xffff,
	0x10000,
	0x7fffffff,
	0x80000000,
	0xffffffff,
	0x100000000,
	0x7ffffffff000,
	0x7fffffffffff,
	0x800000000000,
	0x8000000000001000,
	0xffff7fffffffffff,
	0xffff800000000000,
	0xffff888000001000,
	0xffffffff81000000,
	0xfffffffffffff000,
	0x7fffffffffffffff,
	0x8000000000000000,
	0xffffffffffffffff,
};

uint64_t random_value(struct random *random)
{
	uint64_t edge = edges[random_below(random, sizeof(edges) / sizeof(edges[0]))];

	switch (random_below(random, 6)) {
	case 0:
		return edge;
	case 1:
		return edge + random_below(random, 17) - 8;
	case 2:
		return 1ull << random_below(random, 64);
	case 3:
		return random_below(random, 256);
	case 4:
		return edge ^ 1ull << random_below(random, 64);
	default:
		return random_bits(random);
	}
}

void random_fill(struct random *random, void *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t bits = random_bits(random);

		memcpy((char *)to + i, &bits, bytes - i < 8 ? bytes - i : 8);
	}
}
