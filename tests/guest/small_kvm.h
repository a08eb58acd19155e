/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small KVM guest that computes, so that a test can tell whether KVM still
 * does what it should while Dune runs; see small_kvm.c.
 */
#ifndef DUNE_TESTS_SMALL_KVM_H
#define DUNE_TESTS_SMALL_KVM_H

struct small_kvm;

/* NULL: what went wrong is text in *why, here and below. */
struct small_kvm *small_kvm_create(const char **why);
/* Runs it for so many exits more. 0: all values were right and its MSRs are unchanged. */
int small_kvm_continue(struct small_kvm *guest, unsigned nr_exits, const char **why);
void small_kvm_destroy(struct small_kvm *guest);

/* All three. */
int small_kvm_run(unsigned nr_exits, const char **why);

#endif
