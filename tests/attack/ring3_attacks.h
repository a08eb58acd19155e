/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What hostile code does in ring 3; ring3_attacks.S. All of it lies between the
 * first two labels, does not depend on where it is, and is called by way of
 * dune_ring3_call() with up to three arguments.
 */
#ifndef DUNE_TESTS_RING3_ATTACKS_H
#define DUNE_TESTS_RING3_ATTACKS_H

extern const char attacks[], attacks_end[];
extern const char attack_return[];	   /* returns its first argument */
extern const char attack_return_address[]; /* says where it goes back to */
extern const char attack_vmcall[];	   /* rax, rdi, rsi = the arguments */
extern const char attack_syscall[];	   /* a system call; returns its result */
extern const char attack_mov_ss[];	   /* loads ss from the argument; then syscall */
extern const char attack_syscall_rsp[];	   /* the same with rsp = the argument */
extern const char attack_fault_rsp[];	   /* ud2 with rsp = the argument */
extern const char attack_syscall_flags[];  /* with these flags; returns those after it */
extern const char attack_syscall_gs[];	   /* with gs base; returns the base after it */
extern const char attack_syscall_fs[];	   /* with fs base; returns the base after it */
extern const char attack_fault_flags[];	   /* ud2 with these flags; returns those after it */
extern const char attack_interrupts[];	   /* cli, which takes IOPL 3, then ud2 */
extern const char attack_icebp[];	   /* #DB, as a debugger's int1 */
extern const char attack_fault_gs[];	   /* ud2 with this gs base */
extern const char attack_fault_fs[];
extern const char attack_spin_bases[]; /* gs and fs base, then so many turns */
extern const char attack_selectors[];  /* null selectors everywhere, then syscall */
/* MXCSR and x87 control word are the arguments, the third says what else. */
extern const char attack_float[];
enum { FLOAT_PENDING = 1, FLOAT_FULL = 2, FLOAT_SYSCALL = 4, FLOAT_FAULT = 8 };

#endif
