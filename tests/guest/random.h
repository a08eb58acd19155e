/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers that a seed repeats. Each thread of a fuzzer or a stress test has its own,
 * so that what one thread does depends on the seed and its number alone.
 */
#ifndef DUNE_TESTS_RANDOM_H
#define DUNE_TESTS_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

/* SplitMix64: a counter and a mixing function. */
static inline uint64_t random_bits(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline uint64_t random_below(struct random *random, uint64_t limit)
{
	return random_bits(random) % limit;
}

static inline bool random_one_in(struct random *random, uint64_t n)
{
	return !random_below(random, n);
}

/* Numbers at which programs go wrong, and others. */
uint64_t random_value(struct random *random);

void random_fill(struct random *random, void *to, size_t bytes);

#endif
