/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accesses that may fault. r11 says where the handler of guest.c lets the code
 * go on, r10 with which stack.
 */
	.text
	.macro PROBE name, access:vararg
	.globl \name
	.type \name, @function
\name:
	lea	1f(%rip), %r11
	mov	%rsp, %r10
	xor	%eax, %eax
	\access
1:	ret
	.endm

	PROBE probe_read_at, movb (%rdi), %dl
	PROBE probe_write_at, movb %sil, (%rdi)
	PROBE probe_call_at, call *%rdi
	PROBE probe_load, movq (%rdi), %rdx

	.section .note.GNU-stack, "", @progbits
