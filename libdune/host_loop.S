/* SPDX-License-Identifier: MIT */
/*
 * The host loop itself; host.c has what it calls. It is assembly for its labels: a
 * signal that comes between looking whether one waits and the `syscall` that may wait
 * for long must send the thread back to look again (signal.c, dune_signal_catch).
 */
#include <asm/unistd.h>
#include <asm-generic/signal-defs.h>
#include "asm.h"
#include "cpu.h"
#include "dune_abi.h"
#include "host.h"

	.text

/* dune_host_loop(struct cpu *cpu): does not return. */
hidden_label dune_host_loop
	mov	%rdi, %rbx
	mov	CPU_RUN(%rbx), %rbp
	lea	dune_host_special(%rip), %r12
hidden_label dune_host_again
	cmpb	$0, CPU_SIGNAL(%rbx)
	jne	.Lsignal
.Lrun:
	mov	CPU_VCPU_FD(%rbx), %edi
	xor	%esi, %esi
	xor	%edx, %edx
	mov	$__NR_lseek, %eax
hidden_label dune_host_run_syscall
	syscall
	test	%rax, %rax		/* DUNE_EXIT_HYPERCALL? */
	jne	.Lother
	mov	8 * DUNE_RAX(%rbp), %eax	/* the kernel does not look at the rest either */
	cmp	$HOST_NR_SYSCALLS - 1, %rax
	ja	.Lspecial
	cmpq	$0, (%r12,%rax,8)
	jne	.Lspecial
hidden_label dune_host_forward
	cmpb	$0, CPU_SIGNAL(%rbx)
	jne	.Lsignal_first
	mov	8 * DUNE_RAX(%rbp), %rax
	mov	8 * DUNE_RDI(%rbp), %rdi
	mov	8 * DUNE_RSI(%rbp), %rsi
	mov	8 * DUNE_RDX(%rbp), %rdx
	mov	8 * DUNE_R10(%rbp), %r10
	mov	8 * DUNE_R8(%rbp), %r8
	mov	8 * DUNE_R9(%rbp), %r9
hidden_label dune_host_forward_syscall
	syscall
	mov	%rax, 8 * DUNE_RAX(%rbp)
	jmp	dune_host_again

.Lspecial:
	mov	%rbx, %rdi
	mov	%rax, %rsi
	call	dune_host_handle_special
	cmp	$HOST_FORWARD, %rax
	je	dune_host_forward
	mov	%rax, 8 * DUNE_RAX(%rbp)
	jmp	dune_host_again
.Lother:
	mov	%rbx, %rdi
	mov	%rax, %rsi
	call	dune_host_handle_exit
	jmp	dune_host_again
/* If it cannot be given now, the trap path will ask for it. */
.Lsignal:
	mov	%rbx, %rdi
	call	dune_signal_deliver
	test	%al, %al
	jnz	dune_host_again
	jmp	.Lrun
.Lsignal_first:
	mov	%rbx, %rdi
	call	dune_signal_deliver_before_call
	jmp	dune_host_again

hidden_label dune_signal_restorer
	mov	$__NR_rt_sigreturn, %eax
	syscall
	ud2

/* dune_fault_touch(address, write, mask). signal.c goes on behind it after a SIGSEGV,
 * and after a signal that came before it: all are blocked again then. */
hidden_label dune_fault_touch
	mov	%rdi, %r8
	mov	%esi, %r9d
	mov	$SIG_SETMASK, %edi
	mov	%rdx, %rsi
	xor	%edx, %edx
	mov	$8, %r10d
	mov	$__NR_rt_sigprocmask, %eax
	syscall
hidden_label dune_fault_unblocked
	test	%r9d, %r9d
	jnz	dune_fault_write
	movb	(%r8), %al
	ret
hidden_label dune_fault_write
	lock orb $0, (%r8)
hidden_label dune_fault_touched
	ret

	.section .note.GNU-stack, "", @progbits
