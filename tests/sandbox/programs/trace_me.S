/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program without libc, of which each system call is known. trace_shows_each_call.c has the lines
 * that --trace must write for it.
 */
#include <asm/unistd.h>

#define TEXT_BYTES 4

.macro call nr, a=0, b=0, c=0, d=0, e=0, f=0
	mov	$\nr, %eax
	mov	$\a, %rdi
	mov	$\b, %rsi
	mov	$\c, %rdx
	mov	$\d, %r10
	mov	$\e, %r8
	mov	$\f, %r9
	syscall
.endm

	.globl	_start
_start:
	call	__NR_write, 1, text, TEXT_BYTES
	call	__NR_openat, -100, passwd, 0x80000	/* AT_FDCWD, O_CLOEXEC */
	mov	%eax, %ebx
	mov	$__NR_read, %eax
	mov	%ebx, %edi
	mov	$buffer, %esi
	mov	$5, %edx
	syscall
	mov	$__NR_close, %eax
	mov	%ebx, %edi
	syscall
	call	__NR_openat, -100, nowhere, 0
	call	__NR_write, 1, 0x1000, 16		/* not ours */
	call	__NR_mmap, 0, 8192, 3, 0x22, -1, 0
	call	__NR_mprotect, 0x1000, 4096, 1
	call	__NR_getpid
	call	__NR_kill, 1, 15
	call	__NR_ptrace, 0
	call	999, 1, 2
	call	__NR_exit_group, 7

	.section .rodata
text:	.ascii	"out\n"
passwd:	.asciz	"/etc/passwd"
nowhere: .asciz	"/nowhere"

	.bss
buffer:	.skip	64

	.section .note.GNU-stack, "", @progbits
