/* SPDX-License-Identifier: GPL-2.0-only */
/* What small_kvm.c and its guest agree on. */
#ifndef DUNE_TESTS_SMALL_KVM_GUEST_H
#define DUNE_TESTS_SMALL_KVM_GUEST_H

#define SMALL_KVM_PORT	0x10
#define SMALL_KVM_SEED	12345
#define SMALL_KVM_STEPS 1000

#ifndef __ASSEMBLER__
extern const char small_kvm_code[], small_kvm_syscall[], small_kvm_code_end[];
#endif

#endif
