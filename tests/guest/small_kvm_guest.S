/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What small_kvm.c runs: 64-bit mode, ring 0. Once a round: a thousand steps of a
 * random generator, each added to xmm0 and stored in memory, and a SYSCALL that
 * shows what STAR, LSTAR and FMASK are in the CPU; that and the low half of
 * KERNEL_GS_BASE are added; then an exit.
 */
#include "small_kvm_guest.h"

	.section .rodata
	.globl small_kvm_code, small_kvm_syscall, small_kvm_code_end
small_kvm_code:
	mov	$SMALL_KVM_SEED, %ebx
	xorps	%xmm0, %xmm0
round:
	mov	$SMALL_KVM_STEPS, %esi
	xor	%ebp, %ebp
1:	imul	$1664525, %ebx, %ebx
	add	$1013904223, %ebx
	movd	%ebx, %xmm1
	paddd	%xmm1, %xmm0
	mov	%ebx, (%rdi, %rsi, 4)
	std				/* FMASK has it cleared */
	syscall
	cld
	dec	%esi
	jnz	1b
	add	%ebp, %ebx
	mov	$0xc0000102, %ecx
	rdmsr
	add	%eax, %ebx
	movd	%xmm0, %edx
	mov	%ebx, %eax
	out	%eax, $SMALL_KVM_PORT
	jmp	round

/* LSTAR. The selector that is STAR's, and the direction flag if it is still set. */
small_kvm_syscall:
	mov	%cs, %eax
	add	%eax, %ebp
	pushfq
	pop	%rax
	and	$0x400, %eax
	add	%eax, %ebp
	jmp	*%rcx
small_kvm_code_end:

	.section .note.GNU-stack, "", @progbits
