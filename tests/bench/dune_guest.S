/* SPDX-License-Identifier: GPL-2.0-only */
/* What dune.c measures in ring 3; see dune_guest.h. Position-independent. */
	.section .rodata
	.globl ring3_code, ring3_code_end, ring3_code_return, ring3_code_syscalls
ring3_code:
ring3_code_syscalls:
	test	%rdi, %rdi
	jz	ring3_code_return
1:	mov	$39, %eax
	syscall
	dec	%rdi
	jnz	1b
ring3_code_return:
	ret
ring3_code_end:

	.section .note.GNU-stack, "", @progbits
