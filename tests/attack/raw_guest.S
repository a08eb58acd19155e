/* SPDX-License-Identifier: GPL-2.0-only */
/* What the guests of raw.c run; see raw.h. Position-independent. */
#define RAW_HANDLER_BYTES 16
	.section .rodata
	.macro CODE name
	.globl \name
\name:
	.endm

	CODE raw_count
1:	inc	%rbx
	vmcall
	jmp	1b

	CODE raw_spin
1:	inc	%rbx
	mov	%rbx, (%rdi)
	jmp	1b

	CODE raw_read
1:	mov	(%rdi), %rax
	vmcall
	jmp	1b

	CODE raw_write
1:	mov	%sil, (%rdi)
	vmcall
	jmp	1b

	CODE raw_execute
	jmp	*%rdi

	CODE raw_undefined
	ud2

	CODE raw_ring3
	mov	%rsp, %rax
	pushq	$0x2b
	pushq	%rax
	pushq	$0x202
	pushq	$0x33
	lea	1f(%rip), %rax
	pushq	%rax
	iretq
1:	vmcall
	jmp	1b

	CODE raw_registers
	mov	%cr2, %rbx
	mov	$0xc0000102, %ecx	/* KERNEL_GS_BASE */
	rdmsr
	shl	$32, %rdx
	or	%rdx, %rax
	syscall
	ud2
	CODE raw_registers_lstar
	vmcall
	mov	%rdi, %cr2
	vmcall
	mov	%cr2, %rbx
	vmcall

	CODE raw_spoil
	mov	$0x18, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%rdi, %rax
	mov	%rdi, %rdx
	shr	$32, %rdx
	mov	$0xc0000100, %ecx	/* FS_BASE, GS_BASE, KERNEL_GS_BASE */
	wrmsr
	inc	%ecx
	wrmsr
	inc	%ecx
	wrmsr
1:	vmcall
	jmp	1b

	CODE raw_watch
	mov	%rdi, %dr0
	mov	%rsi, %dr7
1:	vmcall
	jmp	1b

	CODE raw_xrstor
	mov	%esi, %eax
	xor	%edx, %edx
	xrstor	(%rdi)
1:	vmcall
	jmp	1b

	CODE raw_far
	pushq	%rsi
	pushq	%rdi
	lretq

	CODE raw_cpuid
	mov	%rdi, %rax
	mov	%rsi, %rcx
	cpuid
	vmcall

	.balign	RAW_HANDLER_BYTES
	CODE raw_handlers
vector = 0
	.rept	32
	.balign	RAW_HANDLER_BYTES
	mov	$vector, %ebx
	vmcall
vector = vector + 1
	.endr

	.globl raw_code_end
raw_code_end:

	.section .note.GNU-stack, "", @progbits
