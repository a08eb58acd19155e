/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What small_kvm.c runs: 32-bit protected mode, no paging. Once a round: a
 * thousand steps of a random generator, each added to xmm0 and stored in
 * memory; the low half of KERNEL_GS_BASE is added; then an exit.
 */
#include "small_kvm_guest.h"

	.section .rodata
	.code32
	.globl small_kvm_code, small_kvm_code_end
small_kvm_code:
	mov	$SMALL_KVM_SEED, %ebx
	xorps	%xmm0, %xmm0
round:
	mov	$SMALL_KVM_STEPS, %esi
1:	imul	$1664525, %ebx, %ebx
	add	$1013904223, %ebx
	movd	%ebx, %xmm1
	paddd	%xmm1, %xmm0
	mov	%ebx, (%edi, %esi, 4)
	dec	%esi
	jnz	1b
	mov	$0xc0000102, %ecx
	rdmsr
	add	%eax, %ebx
	movd	%xmm0, %edx
	mov	%ebx, %eax
	out	%eax, $SMALL_KVM_PORT
	jmp	round
small_kvm_code_end:

	.section .note.GNU-stack, "", @progbits
