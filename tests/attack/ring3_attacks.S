/* SPDX-License-Identifier: GPL-2.0-only */
/* Hostile code for ring 3; see ring3_attacks.h. */
	.section .rodata
	.macro ATTACK name
	.globl \name
\name:
	.endm

	.balign 4096
	ATTACK attacks

	ATTACK attack_return
	mov	%rdi, %rax
	ret

	ATTACK attack_return_address
	mov	(%rsp), %rax
	ret

	ATTACK attack_vmcall
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	vmcall
	ret

	ATTACK attack_syscall
	mov	$39, %eax
	syscall
	ret

	/* What the argument points to goes to ss; a #DB for it comes behind the syscall. */
	ATTACK attack_mov_ss
	mov	$39, %eax
	mov	(%rdi), %ss
	syscall
	ret

	ATTACK attack_syscall_rsp
	mov	%rsp, %r12
	mov	%rdi, %rsp
	mov	$39, %eax
	syscall
	mov	%rsp, %rdx
	mov	%r12, %rsp
	cmp	%rdi, %rdx
	je	1f
	mov	$-1, %rax
1:	ret

	ATTACK attack_fault_rsp
	mov	%rdi, %rsp
	ud2

	/* The flags go through r8; TF is cleared afterwards. */
	ATTACK attack_syscall_flags
	push	%rdi
	popfq
	mov	$39, %eax
	syscall
	pushfq
	pop	%r8
	pushq	$0x202
	popfq
	mov	%r8, %rax
	ret

	ATTACK attack_syscall_gs
	wrgsbase %rdi
	mov	$39, %eax
	syscall
	rdgsbase %rax
	ret

	ATTACK attack_syscall_fs
	wrfsbase %rdi
	mov	$39, %eax
	syscall
	rdfsbase %rax
	ret

	ATTACK attack_fault_flags
	push	%rdi
	popfq
	ud2
	pushfq
	pop	%rax
	push	$0x202
	popfq
	ret

	ATTACK attack_interrupts
	cli
	ud2

	ATTACK attack_icebp
	.byte	0xf1
	ret

	ATTACK attack_fault_gs
	wrgsbase %rdi
	ud2

	ATTACK attack_fault_fs
	wrfsbase %rdi
	ud2

	ATTACK attack_spin_bases
	wrgsbase %rdi
	wrfsbase %rsi
1:	dec	%rdx
	jnz	1b
	rdgsbase %rax
	ret

	ATTACK attack_selectors
	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	$39, %eax
	syscall
	mov	$0x2b, %ecx
	mov	%ecx, %ds
	mov	%ecx, %es
	mov	%ecx, %fs
	mov	%ecx, %gs
	mov	$39, %eax
	syscall
	ret

	/* The third argument is FLOAT_*. */
	ATTACK attack_float
	push	%rsi
	push	%rdi
	ldmxcsr	(%rsp)
	fninit
	fldcw	8(%rsp)
	test	$1, %dl
	jz	1f
	fld1
	fldz
	fdivrp
1:	test	$2, %dl
	jz	2f
	.rept	8
	fld1
	.endr
2:	pop	%rdi
	pop	%rsi
	test	$4, %dl
	jz	3f
	mov	$39, %eax
	syscall
3:	test	$8, %dl
	jz	4f
	ud2
4:	mov	%rdi, %rax
	ret

	ATTACK attacks_end

	.section .note.GNU-stack, "", @progbits
