/* SPDX-License-Identifier: MIT */
/*
 * Changes of stack and ring that C cannot say: between a thread's own stack and
 * the host loop (dune_enter, dune_leave, new threads), and from ring 0 into ring 3
 * (dune_ring3_run, dune_ring3_call). The ways back from ring 3 are in trap_entry.S.
 */
#include <asm/unistd.h>
#include <asm-generic/errno-base.h>
#include "asm.h"
#include "cpu.h"
#include "dune_abi.h"
#include "frame.h"
#include "hypercall.h"
#include "trap.h"

/* RBX becomes struct cpu: KERNEL_GS_BASE is ring 0's alone. */
.macro find_cpu
	swapgs
	mov	%gs:CPU_SELF, %rbx
	swapgs
.endm

/*
 * The rest of a struct ring3_context, its lowest slot first: so nothing that is touched
 * while GS is ring 0's can be the stack's first touch of a page. Ring 0's FS base is put
 * by, R9 becomes ring 3's.
 */
.macro begin_context
	stmxcsr	(RING3_MXCSR - RING3_VALUE)(%rsp)
	fnstcw	(RING3_X87_CONTROL - RING3_VALUE)(%rsp)
	swapgs
	rdfsbase %rax
	mov	%rax, %gs:CPU_FS_RING0
	push	%gs:CPU_RING3
	push	%gs:CPU_IST1
	lea	-8(%rsp), %rsp
	mov	%rsp, %gs:CPU_RING3
	mov	%gs:CPU_FS_RING3, %r9
	swapgs
.endm

/* After dune_ring3_stop(), which may leave handlers behind, and says in RCX where IST 2 is then. */
.macro restore_ist
	find_cpu
	mov	%rcx, CPU_IST2(%rbx)
	mov	RING3_IST1(%rsp), %rcx
	mov	%rcx, CPU_IST1(%rbx)
.endm

/* From begin_context to the caller's registers; the x87 stack is empty between calls. */
.macro end_context
	find_cpu
	fninit
	fldcw	RING3_X87_CONTROL(%rsp)
	ldmxcsr	RING3_MXCSR(%rsp)
	add	$RING3_PREVIOUS, %rsp
	pop	CPU_RING3(%rbx)
	add	$8, %rsp
	pop_callee_saved
.endm

	.text

/*
 * long dune_enter_switch(struct cpu *cpu): leaves the caller's stack to the guest,
 * which goes on at dune_enter_arrive, and runs the host loop on its own. Returns 0:
 * inside, or after dune_leave_switch(). A failure of the first entry returns -errno.
 */
hidden_function dune_enter_switch
	push_callee_saved
	mov	%rsp, CPU_ENTER_RSP(%rdi)
	lea	CPU_BYTES(%rdi), %rsp
	xor	%ebp, %ebp
	call	dune_host_enter
	ud2

hidden_function dune_enter_arrive
	xor	%eax, %eax
	pop_callee_saved
	ret

/* dune_host_return(rsp, result): from the host loop to the caller's stack, outside. */
hidden_function dune_host_return
	mov	%rdi, %rsp
	mov	%rsi, %rax
	pop_callee_saved
	ret

/* struct cpu *dune_leave_switch(void): the host loop goes on at the stack it is given. */
hidden_function dune_leave_switch
	push_callee_saved
	mov	%rsp, %rdi
	mov	$HYPERCALL_LEAVE, %eax
	vmcall
	ud2

/*
 * long dune_thread_clone(nr, a, b, c, d, e): clone or clone3 whose child starts on a
 * host stack of its own, at the top of which lies its struct cpu.
 */
hidden_function dune_thread_clone
	mov	%edi, %eax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	syscall
	test	%rax, %rax
	jz	1f
	ret
1:	xor	%ebp, %ebp
	lea	-1(%rsp), %rdi		/* still in the area, even at its very top */
	and	$-CPU_BYTES, %rdi
	call	dune_host_start
	ud2

/* dune_thread_exit_switch(cpu, code): unmaps the stack it runs on. Signals are blocked. */
hidden_function dune_thread_exit_switch
	mov	%rsi, %rbx
	mov	$CPU_BYTES, %esi
	mov	$__NR_munmap, %eax
	syscall
	mov	%rbx, %rdi
	mov	$__NR_exit, %eax
	syscall
	ud2

/*
 * int dune_ring3_run(const struct dune_frame *frame, struct dune_ring3_end *end).
 * What is pushed up to CPU_RING3 is struct ring3_context.
 */
	.globl	dune_ring3_run
	.type	dune_ring3_run, @function
	.balign	16
dune_ring3_run:
	push	%rsi
	push	%rsi
	push_callee_saved
	push	$0
	begin_context
	mov	FRAME_RIP(%rdi), %rax
	shr	$47, %rax
	mov	$-EFAULT, %rax
	jnz	run_over
	sub	$FRAME_BYTES, %rsp
	mov	%rdi, %rsi
	mov	%rsp, %rdi
	mov	$FRAME_BYTES / 8, %ecx
	rep movsq
	jmp	dune_trap_to_user

/* A handler returns here, on the context, after dune_ring3_stop(); rax is the result. */
hidden_function dune_ring3_run_stopped
	restore_ist
run_over:
	end_context
	add	$16, %rsp
	ret

/*
 * int dune_ring3_call(function, stack_top, a, b, c, uint64_t *value, end). Ring 3
 * starts at the trampoline, which calls the function: so it is ring 3 that touches its
 * stack, and ring 3 that faults if the stack or the function is bad. It gets its
 * arguments and nothing of ring 0's that was in a register.
 */
	.globl	dune_ring3_call
	.type	dune_ring3_call, @function
	.balign	16
dune_ring3_call:
	push_callee_saved
	push	%r9
	begin_context
	mov	%rdi, %rax
	mov	%rsi, %r10
	mov	%rdx, %rdi
	mov	%rcx, %rsi
	mov	%r8, %rdx
	mov	dune_ring3_trampoline(%rip), %rcx
	mov	$RFLAGS_RING3, %r11d
	xor	%ebx, %ebx
	xor	%ebp, %ebp
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
hidden_label dune_ring3_call_fs
	wrfsbase %r9
	mov	%r10, %rsp
hidden_label dune_ring3_call_sysret
	sysretq

/* As above. The usual way back is in trap_entry.S. */
hidden_function dune_ring3_call_stopped
	restore_ist
	end_context
	ret

/* Copied to a page that ring 3 may execute: where dune_ring3_call() starts and ends. */
hidden_function dune_ring3_trampoline_start
	call	*%rax
	syscall
hidden_label dune_ring3_trampoline_return
	ud2
hidden_label dune_ring3_trampoline_end

/*
 * long dune_copy(to, from, bytes): 0, or -EFAULT by way of the fixup. AC is set by
 * popfq, as the CPU may have no SMAP and hence no STAC.
 */
hidden_function dune_copy
	mov	%rdx, %rcx
	push	$(RFLAGS_RING0 | RFLAGS_AC)
	popfq
hidden_label dune_copy_fault
	rep movsb
	xor	%eax, %eax
1:	push	$RFLAGS_RING0
	popfq
	ret
hidden_function dune_copy_fixup
	mov	$-EFAULT, %rax
	jmp	1b

	.section .note.GNU-stack, "", @progbits
