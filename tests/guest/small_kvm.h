/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small KVM guest that computes, so that a test can tell whether KVM still
 * does what it should while Dune runs; see small_kvm.c.
 */
#ifndef DUNE_TESTS_SMALL_KVM_H
#define DUNE_TESTS_SMALL_KVM_H

/*
 * Runs a guest of its own for so many exits. 0: all values were right and its
 * MSRs are unchanged; else what went wrong, as text in *why.
 */
int small_kvm_run(unsigned nr_exits, const char **why);

#endif
