/* SPDX-License-Identifier: GPL-2.0-only */
/* What ring_0_instructions_end_as_on_a_cpu.c runs; the rows are in ring_0_rows.S. */
#ifndef DUNE_TESTS_RING_0_ROWS_H
#define DUNE_TESTS_RING_0_ROWS_H

/* How a row may end: a vector, or the code's own end; or either of two. */
#define NONE	 0x100
#define UD	 6
#define NM	 7
#define DF	 8
#define TS	 10
#define NP	 11
#define SS	 12
#define GP	 13
#define PF	 14
#define DB	 1
#define BP	 3
#define ANY	 0xffffffff /* as an error code */
#define OR(a, b) ((a) | (b) << 16)

#ifndef __ASSEMBLER__
#include <stdint.h>

struct ring_0_row {
	const char *name, *code, *end;
	uint64_t ends, error;
	uint64_t user; /* how it ends in ring 3; 0: not tried there */
};

extern const struct ring_0_row ring_0_rows[], ring_0_rows_end[];
#endif

#endif
