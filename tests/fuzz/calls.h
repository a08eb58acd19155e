/* SPDX-License-Identifier: GPL-2.0-only */
/* The calls that fuzzer_step() chooses from, and what they have in common. */
#ifndef DUNE_TESTS_CALLS_H
#define DUNE_TESTS_CALLS_H

#include "fuzzer.h"

/* ---- target.c ---- */

/* What a call is for. */
enum { FOR_VM = 1, FOR_VCPU = 2 };

extern const char *const kind_names[]; /* of enum kind */

/* A call on an object that it is not for. */
void call_misfit(struct fuzzer *fuzzer, struct object *object, int targets, unsigned long number,
		 void *argument);
/*
 * The object to call. If it is not for the call, the call is made all the same,
 * and NULL returned.
 */
struct object *find_target(struct fuzzer *fuzzer, int targets, unsigned long number,
			   void *argument);
/* Calls, and expects success or EFAULT, as the argument is good for it or not. */
void call_with(struct fuzzer *fuzzer, struct object *object, const char *name, unsigned long number,
	       const struct argument *argument, bool good);

/* ---- vm_calls.c ---- */

void call_get_caps(struct fuzzer *fuzzer);
void call_get_counts(struct fuzzer *fuzzer);
void call_hold_kvm(struct fuzzer *fuzzer);
void call_set_tile(struct fuzzer *fuzzer);
void call_create_vcpu(struct fuzzer *fuzzer);
void call_flush_tlb(struct fuzzer *fuzzer);

/* ---- vcpu_calls.c ---- */

void call_get_state(struct fuzzer *fuzzer);
void call_set_state(struct fuzzer *fuzzer);
void call_run_wrongly(struct fuzzer *fuzzer);
void map_run_page(struct fuzzer *fuzzer);

#endif
