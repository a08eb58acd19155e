/* SPDX-License-Identifier: MIT */
/*
 * What libdune's assembly files have in common: labels that others of them and C know, and the
 * registers that a C function keeps, as struct ring3_context has them too.
 */
#ifndef LIBDUNE_ASM_H
#define LIBDUNE_ASM_H

/* clang-format off */
.macro hidden_label name
	.globl	\name
	.hidden	\name
\name:
.endm

.macro hidden_function name
	.type	\name, @function
	.balign	16
	hidden_label \name
.endm

.macro push_callee_saved
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
.endm

.macro pop_callee_saved
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
.endm
/* clang-format on */

#endif
