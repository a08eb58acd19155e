/* SPDX-License-Identifier: GPL-2.0-only */
/* One exception each; see faults.h. */
	.text
	.macro FAULT name
	.globl \name
	.type \name, @function
\name:
	lea	1f(%rip), %r11
	mov	%rsp, %r10
	.endm

	.macro DONE
1:	mov	$7, %eax
	ret
	.endm

	.balign 4096
	.globl faults, faults_end
faults:
	FAULT fault_divide
	xor	%edx, %edx
	xor	%ecx, %ecx
	mov	$1, %eax
	div	%ecx
	DONE

	FAULT fault_debug
	.byte	0xf1
	DONE

	/* After one instruction more; TF stays set. */
	FAULT fault_step
	pushf
	orq	$0x100, (%rsp)
	popf
	nop
	DONE

	FAULT fault_breakpoint
	int3
	DONE

	FAULT fault_overflow
	int	$4
	DONE

	FAULT fault_undefined
	ud2
	DONE

	/* A non-canonical address by way of rbp is #SS. */
	FAULT fault_stack
	mov	%rbp, %rdx
	mov	$0x0000800000000000, %rbp
	mov	(%rbp), %al
1:	mov	%rdx, %rbp
	mov	$7, %eax
	ret

	FAULT fault_protection
	mov	$0x0000800000000000, %rax
	mov	(%rax), %al
	DONE

	/* A selector beyond the GDT. */
	FAULT fault_selector
	mov	$0x7f8, %eax
	mov	%eax, %es
	DONE

	FAULT fault_x87
	fninit
	fnstcw	-8(%rsp)
	andw	$~4, -8(%rsp)
	fldcw	-8(%rsp)
	fld1
	fldz
	fdivrp	%st, %st(1)
	fwait
1:	fninit
	mov	$7, %eax
	ret

	/* With AC set; only in ring 3. */
	FAULT fault_alignment
	pushfq
	orl	$0x40000, (%rsp)
	popfq
	mov	-7(%rsp), %eax
1:	pushfq
	andl	$~0x40000, (%rsp)
	popfq
	mov	$7, %eax
	ret

	FAULT fault_simd
	stmxcsr	-8(%rsp)
	andl	$~0x200, -8(%rsp)
	ldmxcsr	-8(%rsp)
	xorps	%xmm0, %xmm0
	mov	$1, %eax
	cvtsi2ss %eax, %xmm1
	divss	%xmm0, %xmm1
1:	movl	$0x1f80, -8(%rsp)
	ldmxcsr	-8(%rsp)
	mov	$7, %eax
	ret

	FAULT fault_movaps
	movaps	1(%rsp), %xmm0
	DONE

	FAULT fault_read
	mov	(%rdi), %al
	DONE

	FAULT fault_write
	movb	$1, (%rdi)
	DONE

	FAULT fault_call
	call	*%rdi
	DONE

	FAULT fault_nothing
	DONE
faults_end:

	.section .note.GNU-stack, "", @progbits
