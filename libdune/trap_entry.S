/* SPDX-License-Identifier: MIT */
/*
 * Where the CPU arrives in ring 0: by an exception (IDT) or by SYSCALL (LSTAR).
 * Both build a struct dune_frame, call dune_trap_table[row](frame) and go on with
 * what the frame then says. Next: trap.c, or trap_fpu.S before it.
 *
 * What may be trusted. GS is never looked at in an exception, so it does not matter
 * what ring 3 put there, nor in which half of a swapgs the exception came. struct
 * cpu is found from RSP, as every exception has an IST stack; the IST pointer is
 * lowered by a level while the handler runs, so a nested one has a level of its
 * own. FS is ring 3's until it has been switched here; nothing before uses it.
 */
#include "asm.h"
#include "cpu.h"
#include "dune_abi.h"
#include "frame.h"
#include "hypercall.h"
#include "trap.h"

#define SS3 DUNE_SEL_DATA3
#define CS3 DUNE_SEL_CODE3

	.text

/* From rdi down to r15: what is left of the frame below fs_base. */
.macro push_registers rcx=%rcx
	push	%rdi
	push	%rsi
	push	%rdx
	push	\rcx
	push	%rax
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push_callee_saved
.endm

.macro pop_registers
	pop_callee_saved
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
.endm

/* fs_base, vector and error code are left; then what iretq takes. */
.macro pop_and_iret
	pop_registers
	add	$24, %rsp
	iretq
.endm

/*
 * From here to tail_end the frame says all, and no signal is looked for any more: one
 * that comes now takes the frame for the state to go back to (signal_point.c).
 */
.macro tail_begin
.Ltail\@:
	.pushsection .data.rel.ro.dune_tails, "aw"
	.quad	.Ltail\@
	.popsection
.endm

.macro tail_end
.Ltail\@:
	.pushsection .data.rel.ro.dune_tails, "aw"
	.quad	.Ltail\@
	.popsection
.endm

/* A signal that waits for the way back: the host goes on with the frame. RBX is cpu. */
.macro look_for_signal
	cmpb	$0, CPU_SIGNAL(%rbx)
	jne	signal_waits
.endm

/*
 * Below the frame, for trap.c: which run of ring 3 was the innermost, and CR2 of a page
 * fault. The run is put back on the way out: a signal handler may leave one that the
 * exception's handler began.
 */
.macro call_page_fault row
	mov	%cr2, %rdx
	push	CPU_RING3(%rbx)
	push	%rdx
	push	%rdx			/* aligns */
	call	*(dune_trap_table + 8 * \row)(%rip)
.endm

/*
 * The body of an exception; error code and row of the table are on the stack, RBX
 * is struct cpu throughout.
 */
.macro trap_body ist, page_fault=0
	push	$0
	push_registers
	mov	%rsp, %rbx
	and	$-CPU_BYTES, %rbx
	subq	$CPU_IST_LEVEL, \ist(%rbx)
	testb	$3, FRAME_CS(%rsp)
	jnz	.Lfrom_user\@
.Lcall\@:
	push	$RFLAGS_RING0		/* AC and DF clear, IOPL 3 */
	popfq
	mov	%rsp, %rdi
	.if	\page_fault
	.if	\page_fault == 14
	mov	FRAME_RFLAGS(%rsp), %eax
	and	$(RFLAGS_AC | RFLAGS_IF), %eax
	cmp	$RFLAGS_IF, %eax
	jne	.Llook\@
	.endif
	call_page_fault \page_fault
.Lcalled\@:
	lea	16(%rsp), %rsp
	pop	CPU_RING3(%rbx)
	testl	$CPU_IST1_FIRST, %esp
	jz	.Lnested\@
	.else
	push	CPU_RING3(%rbx)		/* aligns, too */
	mov	FRAME_VECTOR(%rdi), %eax
	lea	dune_trap_table(%rip), %rcx
	call	*(%rcx,%rax,8)
	pop	CPU_RING3(%rbx)
	.endif
.Lreturn\@:
	testb	$3, FRAME_CS(%rsp)
	jnz	.Lto_user\@
	addq	$CPU_IST_LEVEL, \ist(%rbx)
	tail_begin
	look_for_signal
	pop_and_iret
	tail_end

.Lfrom_user\@:
	rdfsbase %rax
	mov	%rax, FRAME_FS_BASE(%rsp)
	mov	CPU_FS_RING0(%rbx), %rax
	wrfsbase %rax
	jmp	.Lcall\@
.Lto_user\@:
	mov	FRAME_RIP(%rsp), %rax
	shr	$47, %rax
	jnz	.Lbad_rip\@
	addq	$CPU_IST_LEVEL, \ist(%rbx)
	tail_begin
	look_for_signal
	jmp	dune_trap_to_user
	tail_end
.Lbad_rip\@:
	mov	%rsp, %rdi
	push	CPU_RING3(%rbx)
	call	dune_trap_bad_user_rip
	pop	CPU_RING3(%rbx)
	jmp	.Lreturn\@
	.if	\page_fault
	.if	\page_fault == 14
.Llook\@:
	call_page_fault TRAP_PAGE_FAULT_SLOW
	jmp	.Lcalled\@
	.endif
.Lnested\@:
	mov	%rsp, %rdi
	push	%rax			/* aligns */
	call	dune_trap_restore_cr2
	pop	%rax
	jmp	.Lreturn\@
	.endif
.endm

	.pushsection .data.rel.ro.dune_tails, "aw"
hidden_label dune_trap_tails	/* pairs of tail_begin and tail_end */
	.popsection

hidden_label dune_trap_entry_start
exception:
	trap_body CPU_IST1

/* A fault on what is not present may be a tile that is not there yet; one with AC
 * set may be a copy from or to ring 3 that has a fixup; and with IF clear it came
 * in here. All others go straight to their handler. */
page_fault:
	trap_body CPU_IST1, page_fault=14
page_fault_slow:
	trap_body CPU_IST1, page_fault=TRAP_PAGE_FAULT_SLOW

debug:
	trap_body CPU_IST2

double_fault:
	trap_body CPU_IST3

	.balign	TRAP_STUB_BYTES
hidden_label dune_trap_stubs
vector = 0
	.rept	32
	.balign	TRAP_STUB_BYTES
	.if	vector == 14
	testb	$PF_PRESENT, (%rsp)
	jz	1f
	push	$vector
	jmp	page_fault
1:	push	$TRAP_PAGE_FAULT_SLOW
	jmp	page_fault_slow
	.elseif	vector == 1
	push	$0
	push	$vector
	jmp	debug
	.elseif	vector == 8
	push	$vector
	jmp	double_fault
	.else
	/* #TS #NP #SS #GP #AC #CP #VC #SX have an error code. */
	.if	vector != 10 && vector != 11 && vector != 12 && vector != 13 && \
		vector != 17 && vector != 21 && vector != 29 && vector != 30
	push	$0
	.endif
	push	$vector
	jmp	exception
	.endif
vector = vector + 1
	.endr
	.balign	TRAP_STUB_BYTES

/* Ring 0's own call is done, and so far below the program's stack pointer is ours. */
.macro own_call_done bytes
.Lown\@:
	.pushsection .data.rel.ro.dune_own_calls, "aw"
	.quad	.Lown\@, \bytes
	.popsection
.endm

	.pushsection .data.rel.ro.dune_own_calls, "aw"
hidden_label dune_trap_own_call_done
	.popsection

/*
 * SYSCALL. From ring 0 it is libc that wants the kernel: hand the registers to the
 * host loop as they are, and go back without touching the red zone. IOPL in the
 * saved flags tells the rings apart. To a signal handler all of it is one instruction
 * of the program's (signal_point.c).
 */
hidden_label dune_trap_lstar
	test	$RFLAGS_IOPL, %r11d
	jz	dune_trap_from_ring3
	vmcall
	own_call_done 0
	lea	-128(%rsp), %rsp
	own_call_done 128
	push	%rcx
	own_call_done 136
	push	%r11
	own_call_done 144
	popfq
	own_call_done 136
	ret	$128

	.pushsection .data.rel.ro.dune_own_calls, "aw"
hidden_label dune_trap_own_call_done_end
	.popsection

/*
 * From ring 3: on ring 0's own stack, below the struct ring3_context of the run
 * that is in progress; so runs nest by themselves. KERNEL_GS_BASE is ring 0's
 * alone (swapgs is privileged), and GS is back to ring 3's at once.
 */
hidden_label dune_trap_from_ring3
	swapgs
	cmp	dune_ring3_return(%rip), %rcx
	je	dune_trap_call_start
hidden_label dune_trap_system_call
	mov	%rsp, %gs:CPU_SCRATCH
	mov	%gs:CPU_RING3, %rsp
	push	$SS3
	push	%gs:CPU_SCRATCH
	push	%r11
	push	$CS3
	push	%rcx
	push	$0
	push	$FRAME_VECTOR_SYSCALL
	rdfsbase %rcx
	push	%rcx
	mov	%gs:CPU_FS_RING0, %rcx
	wrfsbase %rcx
	push_registers rcx=(FRAME_RIP-FRAME_RCX-8)(%rsp)
	mov	%gs:CPU_SELF, %rbx
	swapgs
	push	$RFLAGS_RING0
	popfq
	mov	%rsp, %rdi
	call	*(dune_trap_table + 8 * TRAP_SYSCALL)(%rip)
.Lreturn:
	/* A signal handler may have left a run that the handler began. */
	lea	FRAME_BYTES(%rsp), %rax
	mov	%rax, CPU_RING3(%rbx)
	/* SYSRET takes rip from rcx and flags from r11, and faults in ring 0, on
	 * ring 3's stack, where rip is not canonical. */
	mov	FRAME_RIP(%rsp), %rcx
	mov	FRAME_RFLAGS(%rsp), %r11
	cmp	%rcx, FRAME_RCX(%rsp)
	jne	.Lslow
	cmp	%r11, FRAME_R11(%rsp)
	jne	.Lslow
	mov	%rcx, %rax
	shr	$47, %rax
	jnz	.Lslow
	cmpl	$CS3, FRAME_CS(%rsp)
	jne	.Lslow
	test	$~(RFLAGS_USER | 2), %r11d
	jnz	.Lslow
	tail_begin
	look_for_signal
	mov	FRAME_FS_BASE(%rsp), %rax
	wrfsbase %rax
	pop_registers
	mov	(FRAME_RSP - FRAME_FS_BASE)(%rsp), %rsp
	sysretq
	tail_end

.Lslow:
	testb	$3, FRAME_CS(%rsp)
	jz	.Lto_ring0
	mov	FRAME_RIP(%rsp), %rax
	shr	$47, %rax
	jnz	.Lbad_rip
	tail_begin
	look_for_signal
	jmp	dune_trap_to_user
	tail_end
.Lbad_rip:
	mov	%rsp, %rdi
	call	dune_trap_bad_user_rip
	jmp	.Lreturn
.Lto_ring0:
	tail_begin
	look_for_signal
	pop_and_iret
	tail_end

signal_waits:
	mov	%rsp, %rdi
	mov	$HYPERCALL_SIGNAL, %eax
	vmcall
	ud2

/* Goes on in ring 3 with the frame at RSP, whatever it asks for beyond ring 3's
 * rights. rip is canonical. */
hidden_label dune_trap_to_user
	tail_begin
	movq	$CS3, FRAME_CS(%rsp)
	movq	$SS3, FRAME_SS(%rsp)
	andq	$RFLAGS_USER, FRAME_RFLAGS(%rsp)
	orq	$RFLAGS_RING3, FRAME_RFLAGS(%rsp)
	mov	FRAME_FS_BASE(%rsp), %rax
	wrfsbase %rax
	pop_and_iret
	tail_end
hidden_label dune_trap_to_user_end

/*
 * What dune_ring3_call() called is back, by way of the trampoline; its value is in
 * rax. Any ring-3 code can come here, which ends the call as a return would; but not
 * a dune_ring3_run().
 */
hidden_label dune_trap_call_start
	mov	%gs:CPU_RING3, %r11
	cmpq	$0, RING3_VALUE(%r11)
	je	dune_trap_no_call
hidden_label dune_trap_call_done	/* from here on R11 says all */
	lea	RING3_PREVIOUS(%r11), %rsp
	rdfsbase %rcx
	mov	%rcx, %gs:CPU_FS_RING3
	mov	%gs:CPU_FS_RING0, %rcx
	wrfsbase %rcx
hidden_label dune_trap_call_done_fs
	push	$RFLAGS_RING0
	popfq
	pop	%gs:CPU_RING3
	swapgs
	fninit
	fldcw	RING3_X87_CONTROL(%r11)
	ldmxcsr	RING3_MXCSR(%r11)
	pop	%rcx
	mov	%rax, (%rcx)
	pop_callee_saved
	xor	%eax, %eax
	ret
hidden_label dune_trap_no_call
	mov	dune_ring3_return(%rip), %rcx
	mov	$RFLAGS_RING3, %r11d
	jmp	dune_trap_system_call

hidden_label dune_trap_entry_end
	.pushsection .data.rel.ro.dune_tails, "aw"
hidden_label dune_trap_tails_end
	.popsection

	.section .note.GNU-stack, "", @progbits
