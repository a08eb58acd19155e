/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's half of raw_trap.c; see raw_trap.h. Position-independent. */
	.section .rodata
	.globl raw_trap_common, raw_trap_skip, raw_trap_end

/* Each gate comes here with vector and error code pushed. */
raw_trap_common:
	pop	%r8		/* vector */
	pop	%r9		/* error */
	pop	%r10		/* rip */
	pop	%r11		/* cs */
	pop	%r12		/* rflags */
	pop	%r13		/* rsp */
	mov	%cr2, %r14
	vmcall

/* The gate of #GP in a sweep: r15 is how long its instruction is. */
	.balign 64
raw_trap_skip:
	add	$8, %rsp
	add	%r15, (%rsp)
	inc	%r14
	mov	$1, %r13d
	iretq
raw_trap_end:

	.macro SWEEP name, instruction, bytes
	.globl \name
\name:
	mov	$\bytes, %r15d
1:	cmp	%rsi, %rdi
	jae	3f
	xor	%r13d, %r13d
	mov	%rdi, %rcx
	mov	%rdi, %rdx
	mov	%r8, %rax
	.ifc	\instruction, wrmsr
	mov	%r9, %rdx
	.endif
	\instruction
	test	%r13d, %r13d
	jnz	2f
	vmcall
2:	inc	%rdi
	jmp	1b
3:	vmcall
	jmp	3b
	.endm

	SWEEP	raw_sweep_rdmsr, rdmsr, 2
	SWEEP	raw_sweep_wrmsr, wrmsr, 2

	/* The one-byte forms, of DX. */
	.macro IN_DX
	in	%dx, %al
	.endm
	.macro OUT_DX
	out	%al, %dx
	.endm
	SWEEP	raw_sweep_in, IN_DX, 1
	SWEEP	raw_sweep_out, OUT_DX, 1

	.section .note.GNU-stack, "", @progbits
