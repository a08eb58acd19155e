/* SPDX-License-Identifier: MIT */
/*
 * For a handler of a program's that may use vector registers, between trap_entry.S and
 * the handler: saves and restores them around the call. The handler gets a clean x87
 * and MXCSR, since ring 3 may have left exceptions unmasked or pending.
 */
#include "asm.h"
#include "frame.h"

	.text

hidden_label dune_trap_save_fpu
	push	%rbp
	mov	%rsp, %rbp
	sub	dune_trap_xsave_bytes(%rip), %rsp
	and	$-64, %rsp
	xor	%eax, %eax
	mov	%rax, 512(%rsp)
	mov	%rax, 520(%rsp)
	mov	%rax, 528(%rsp)
	mov	%rax, 536(%rsp)
	mov	%rax, 544(%rsp)
	mov	%rax, 552(%rsp)
	mov	%rax, 560(%rsp)
	mov	%rax, 568(%rsp)
	dec	%eax
	mov	%eax, %edx
	xsave64	(%rsp)
	fninit
	push	$0x1f80
	ldmxcsr	(%rsp)
	pop	%rax
	mov	$TRAP_SYSCALL, %eax
	mov	FRAME_VECTOR(%rdi), %ecx
	cmp	$FRAME_VECTOR_SYSCALL, %ecx
	cmovne	%ecx, %eax
	lea	dune_trap_fpu_table(%rip), %rcx
	call	*(%rcx,%rax,8)
	mov	$-1, %eax
	mov	%eax, %edx
	xrstor64 (%rsp)
	leave
	ret

	.section .note.GNU-stack, "", @progbits
