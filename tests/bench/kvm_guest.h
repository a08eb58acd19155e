/* SPDX-License-Identifier: GPL-2.0-only */
/* What kvm.c and the code that it runs in its guest agree on. */
#ifndef DUNE_BENCH_KVM_GUEST_H
#define DUNE_BENCH_KVM_GUEST_H

#define KVM_CALL_PORT 0x10
#define KVM_DONE_PORT 0x11

#ifndef __ASSEMBLER__
extern const char kvm_guest_code[], kvm_guest_code_end[];
extern const char kvm_guest_out[], kvm_guest_vmcall[];
extern const char kvm_guest_write[], kvm_guest_write_odd[], kvm_guest_read[];
#endif

#endif
