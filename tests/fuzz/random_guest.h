/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests of random code in random states, in a few pages of a tile each.
 * calls.c runs them.
 */
#ifndef DUNE_TESTS_RANDOM_GUEST_H
#define DUNE_TESTS_RANDOM_GUEST_H

#include <dune_abi.h>
#include "random.h"

/* Within the arena; the tables show the tile at 0 of the guest's addresses, too. */
#define GUEST_PML4    0x1000
#define GUEST_PDPT    0x2000
#define GUEST_PD      0x3000
#define GUEST_IDT     0x4000
#define GUEST_GDT     0x5000
#define GUEST_TSS     0x6000
#define GUEST_HANDLER 0x7000
#define GUEST_CODE    0x8000
#define GUEST_STACK   0x10000
#define GUEST_FIXED   0x14000 /* what is below stays mapped */
#define GUEST_BYTES   0x40000

struct guest_memory {
	char *host;   /* a piece of the process */
	uint64_t gpa; /* the tile that shows it */
};

struct guest_limits {
	struct dune_caps caps;
	/*
	 * Code that clears IF as it likes: not in Bochs, where a guest entered
	 * like that stops the whole machine if it never exits by itself.
	 */
	bool any_code;
};

/* Tables and code anew, whatever the last guest made of them. */
void random_guest_write(struct random *random, const struct guest_memory *memory,
			const struct guest_limits *limits);

/* A state that DUNE_SET_STATE accepts. */
struct dune_state random_guest_state(struct random *random, const struct guest_memory *memory,
				     const struct guest_limits *limits);

/* Damages a valid state in one place. Returns whether it must be refused now. */
bool random_guest_damage(struct random *random, struct dune_state *state,
			 const struct guest_limits *limits);

#endif
