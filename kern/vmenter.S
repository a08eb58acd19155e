/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world switch. Called by run.c with interrupts off and our VMCS current;
 * what comes next is exit.c.
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include "uapi/dune_abi.h"
#include "vmenter.h"

#define GPR(n) (8 * (n))

/* What the caller needs is on the stack, and all else is the guest's; CF: launched. */
.macro LOAD_GUEST
	push	%rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rdi

	cmp	%rsp, (%rsi)
	je	.Lhost_rsp_right\@
	mov	%rsp, (%rsi)
	mov	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
.Lhost_rsp_right\@:
	bt	$0, %edx	/* what is below, and VERW, leave CF alone */

	mov	GPR(DUNE_RAX)(%rdi), %rax
	mov	GPR(DUNE_RCX)(%rdi), %rcx
	mov	GPR(DUNE_RDX)(%rdi), %rdx
	mov	GPR(DUNE_RBX)(%rdi), %rbx
	mov	GPR(DUNE_RBP)(%rdi), %rbp
	mov	GPR(DUNE_RSI)(%rdi), %rsi
	mov	GPR(DUNE_R8)(%rdi), %r8
	mov	GPR(DUNE_R9)(%rdi), %r9
	mov	GPR(DUNE_R10)(%rdi), %r10
	mov	GPR(DUNE_R11)(%rdi), %r11
	mov	GPR(DUNE_R12)(%rdi), %r12
	mov	GPR(DUNE_R13)(%rdi), %r13
	mov	GPR(DUNE_R14)(%rdi), %r14
	mov	GPR(DUNE_R15)(%rdi), %r15
	mov	GPR(DUNE_RDI)(%rdi), %rdi
.endm

.macro POP_CALLER
	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
.endm

.macro RETURN_REFUSED
	pop	%rdi
	mov	$1, %eax
	POP_CALLER
	RET
.endm

/*
 * bool dune_vmenter(u64 *gpr, u64 *host_rsp, bool launched)
 *
 * Loads the guest's registers from gpr, enters, and saves them there after the
 * exit. *host_rsp is what HOST_RSP holds; it is written only when the stack is
 * at another depth. Returns true if the CPU refused to enter.
 */
SYM_FUNC_START(dune_vmenter)
	LOAD_GUEST
	jc	.Lresume
	vmlaunch
	jmp	.Lrefused
.Lresume:
	vmresume
	jbe	.Lrefused	/* always: CF or ZF says why */

/* HOST_RIP: the CPU comes here with rsp = HOST_RSP and the guest's registers. */
SYM_INNER_LABEL(dune_vmexit, SYM_L_GLOBAL)
	ANNOTATE_NOENDBR
	push	%rax
	mov	8(%rsp), %rax
	mov	%rcx, GPR(DUNE_RCX)(%rax)
	mov	%rdx, GPR(DUNE_RDX)(%rax)
	mov	%rbx, GPR(DUNE_RBX)(%rax)
	mov	%rbp, GPR(DUNE_RBP)(%rax)
	mov	%rsi, GPR(DUNE_RSI)(%rax)
	mov	%rdi, GPR(DUNE_RDI)(%rax)
	mov	%r8, GPR(DUNE_R8)(%rax)
	mov	%r9, GPR(DUNE_R9)(%rax)
	mov	%r10, GPR(DUNE_R10)(%rax)
	mov	%r11, GPR(DUNE_R11)(%rax)
	mov	%r12, GPR(DUNE_R12)(%rax)
	mov	%r13, GPR(DUNE_R13)(%rax)
	mov	%r14, GPR(DUNE_R14)(%rax)
	mov	%r15, GPR(DUNE_R15)(%rax)
	pop	GPR(DUNE_RAX)(%rax)
	add	$8, %rsp

	/*
	 * No return is predicted from what the guest trained, and no register
	 * of the guest's is at hand for a gadget: those that C code may use
	 * before it writes them are cleared, the callee-saved ones popped.
	 */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
		X86_FEATURE_RSB_VMEXIT_LITE
	xor	%eax, %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	POP_CALLER
	RET

.Lrefused:
	RETURN_REFUSED
SYM_FUNC_END(dune_vmenter)
_ASM_NOKPROBE(dune_vmenter)
_ASM_NOKPROBE(dune_vmexit)

/*
 * The same for CPUs whose buffers must be cleared: by VERW, after the last thing
 * that the kernel does with data of its own. An exit comes to dune_vmexit, too.
 */
SYM_FUNC_START(dune_vmenter_verw)
	LOAD_GUEST
	verw	verw_selector(%rip)
	jc	.Lresume_verw
	vmlaunch
	jmp	.Lrefused_verw
.Lresume_verw:
	vmresume
.Lrefused_verw:
	RETURN_REFUSED
SYM_FUNC_END(dune_vmenter_verw)
_ASM_NOKPROBE(dune_vmenter_verw)

	.pushsection .rodata
	.balign	2
SYM_DATA_LOCAL(verw_selector, .word __KERNEL_DS)
	.popsection

/*
 * Fills the branch history with branches that the guest did not choose, by the
 * sequence that Intel gives for it ("Branch History Injection and Intra-mode
 * Branch Target Injection", software BHB-clearing sequence).
 */
SYM_FUNC_START(dune_clear_branch_history)
	mov	$5, %ecx
	call	history_outer
	lfence
	RET
SYM_FUNC_END(dune_clear_branch_history)
_ASM_NOKPROBE(dune_clear_branch_history)

	.balign 64
SYM_FUNC_START_LOCAL(history_outer)
	call	history_inner
	RET
SYM_FUNC_END(history_outer)
_ASM_NOKPROBE(history_outer)

	.balign 64
SYM_FUNC_START_LOCAL(history_inner)
	mov	$5, %eax
.Lhistory_branch:
	jmp	.Lhistory_next
	nop
.Lhistory_next:
	dec	%eax
	jnz	.Lhistory_branch
	dec	%ecx
	jnz	history_outer
	RET
SYM_FUNC_END(history_inner)
_ASM_NOKPROBE(history_inner)
