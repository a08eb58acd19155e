/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fuzz target: a function that must come back from any input. libFuzzer calls it (make
 * fuzz-host), or replay.c does, which needs no clang, as a unit test.
 */
#ifndef DUNE_FUZZ_TARGET_H
#define DUNE_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What both expect of the target; the name is libFuzzer's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* What must be true whatever the input is. */
#define MUST(expression)                                                                           \
	do {                                                                                       \
		if (!(expression)) {                                                               \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #expression); \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
