/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What leave_linux.c lets the kernel start in its place: 64-bit code without a
 * stack. Tells `run` that all is well by way of the fourth serial port, as init
 * would, and turns the emulated machine off.
 */
	.section .rodata
	.globl payload, payload_end
payload:
	lea	message(%rip), %rsi
1:	mov	$0x2ed, %edx	/* line status: may it be written? */
2:	in	%dx, %al
	test	$0x20, %al
	jz	2b
	movb	(%rsi), %al
	test	%al, %al
	jz	3f
	mov	$0x2e8, %edx
	out	%al, %dx
	inc	%rsi
	jmp	1b
3:	in	%dx, %al	/* until the last byte has left */
	test	$0x40, %al
	jz	3b
	mov	$0xb004, %edx	/* PM1a control: sleep, type 0 */
	mov	$0x2000, %eax
	out	%ax, %dx
4:	hlt
	jmp	4b
message:
	.asciz	"exit 0\n"
payload_end:

	.section .note.GNU-stack, "", @progbits
