/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that computes inside Dune, without a system call, until it is told
 * to stop, and then says whether its result is right; see worker.c. For tests
 * that do something to it from outside meanwhile.
 */
#ifndef DUNE_TESTS_WORKER_H
#define DUNE_TESTS_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct worker {
	pid_t pid;
	/* Shared with it. */
	struct worker_page {
		volatile uint64_t rounds; /* done so far */
		volatile bool stop;
		volatile uint64_t word; /* the test's own: seen by the worker as seen */
		volatile uint64_t seen;
	} * page;
};

/* Returns when it is inside and has begun. */
struct worker worker_start(void);
/* Fails the test unless it does some more rounds within a second or so. */
void worker_must_go_on(const struct worker *worker);
/* Fails the test if it does. */
void worker_must_stand_still(const struct worker *worker);
/* Ends it, and fails the test if its result is wrong. */
void worker_finish(struct worker *worker);

/* So many rounds of the same work by the caller; true if the result is right. */
bool worker_compute(unsigned nr_rounds);

#endif
