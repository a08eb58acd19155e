/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instructions for the guest's ring 0, and how each must end: run alone, from
 * the state of raw_trap_state(), with rsi = RAW_DATA. See ring_0_rows.h.
 */
#include "raw.h"
#include "ring_0_rows.h"

	.macro ROW name, ends, error=0, user=0
	.pushsection .rodata
8:	.asciz	"\name"
	.popsection
	.pushsection .data.rel.ro.ring_0_rows, "aw"
	.quad	8b, 7f, 6f, \ends, \error, \user
	.popsection
7:
	.endm
	.macro END
6:
	.endm
	/* The next instruction but one is not executed. */
	.macro SET_TF
	pushf
	orq	$0x100, (%rsp)
	popf
	.endm

	.pushsection .data.rel.ro.ring_0_rows, "aw"
	.balign	8
	.globl	ring_0_rows
ring_0_rows:
	.popsection

	.section .rodata

/* ---- VMX is nobody's in there ---- */
	ROW "vmxoff", UD, user=UD
	vmxoff
	END
	ROW "vmxon", UD
	vmxon	(%rsi)
	END
	ROW "vmptrld", UD
	vmptrld	(%rsi)
	END
	ROW "vmptrst", UD
	vmptrst	(%rsi)
	END
	ROW "vmclear", UD
	vmclear	(%rsi)
	END
	ROW "vmread", UD, user=UD
	vmread	%rax, %rbx
	END
	ROW "vmwrite", UD
	vmwrite	%rax, %rbx
	END
	ROW "vmlaunch", UD
	vmlaunch
	END
	ROW "vmresume", UD
	vmresume
	END
	ROW "vmfunc", UD, user=UD
	xor	%eax, %eax
	xor	%ecx, %ecx
	vmfunc
	END
	ROW "vmfunc 511", UD
	mov	$511, %eax
	vmfunc
	END
	ROW "invept", UD
	mov	$2, %eax
	invept	(%rsi), %rax
	END
	ROW "invvpid", UD
	mov	$2, %eax
	invvpid	(%rsi), %rax
	END

/* ---- What would reach the machine ---- */
	ROW "hlt", NONE, user=GP
	hlt
	END
	ROW "hlt, three times", NONE
	hlt
	hlt
	hlt
	END
	ROW "monitor", UD
	mov	%rsi, %rax
	xor	%ecx, %ecx
	xor	%edx, %edx
	monitor
	END
	ROW "mwait", UD
	xor	%eax, %eax
	xor	%ecx, %ecx
	mwait
	END
	ROW "umwait", OR(UD, GP)
	xor	%eax, %eax
	umwait	%eax
	END
	ROW "tpause", OR(UD, GP)
	xor	%eax, %eax
	tpause	%eax
	END
	ROW "rdpmc", GP
	xor	%ecx, %ecx
	rdpmc
	END
	ROW "rdpmc, fixed", GP
	mov	$0x40000000, %ecx
	rdpmc
	END
	ROW "wbinvd", GP
	wbinvd
	END
	ROW "wbnoinvd", GP
	wbnoinvd
	END
	ROW "invd", GP
	invd
	END
	ROW "rsm", UD
	rsm
	END
	ROW "getsec", UD, user=UD
	xor	%eax, %eax
	getsec
	END
	ROW "encls", OR(UD, GP), user=UD
	xor	%eax, %eax
	encls
	END
	ROW "enclu", OR(UD, GP)
	xor	%eax, %eax
	enclu
	END
	ROW "pconfig", OR(UD, GP)
	xor	%eax, %eax
	pconfig
	END
	ROW "seamcall", OR(UD, GP), user=OR(UD, GP)
	.byte	0x66, 0x0f, 0x01, 0xcf
	END
	ROW "tdcall", OR(UD, GP), user=OR(UD, GP)
	.byte	0x66, 0x0f, 0x01, 0xcc
	END
	ROW "xsaves", UD
	mov	%cr4, %rax
	or	$0x40000, %rax	/* OSXSAVE */
	mov	%rax, %cr4
	xor	%edx, %edx
	xor	%eax, %eax
	xsaves	(%rsi)
	END
	ROW "xrstors", UD
	mov	%cr4, %rax
	or	$0x40000, %rax	/* OSXSAVE */
	mov	%rax, %cr4
	xor	%edx, %edx
	xor	%eax, %eax
	xrstors	(%rsi)
	END
	ROW "xsetbv with OSXSAVE off", UD
	xor	%ecx, %ecx
	xor	%edx, %edx
	mov	$1, %eax
	xsetbv
	END
	ROW "skinit, AMD's", UD
	skinit	%eax
	END
	ROW "vmrun, AMD's", UD
	vmrun	%rax
	END
	ROW "vmmcall, AMD's", UD
	vmmcall
	END
	ROW "rdpru, AMD's", UD
	xor	%ecx, %ecx
	rdpru
	END

/* ---- Ports, every form; all numbers are ports_are_out_of_reach.c's ---- */
	.irp	form, "in $0x60, %al", "in $0x60, %ax", "in $0x60, %eax", "out %al, $0x80", "out %ax, $0x80", "out %eax, $0x80", "in %dx, %al", "in %dx, %ax", "in %dx, %eax", "out %al, %dx", "out %ax, %dx", "out %eax, %dx", "outsb", "outsw", "outsl", "rep outsb"
	ROW "\form", GP
	mov	$0xcf9, %edx
	mov	$1, %ecx
	\form
	END
	.endr
	.irp	form, "insb", "insw", "insl", "rep insb"
	ROW "\form", GP
	mov	$0x60, %edx
	mov	%rsi, %rdi
	mov	$1, %ecx
	\form
	END
	.endr

/* ---- The guest's own TLB and tables ---- */
	ROW "invlpg", NONE
	invlpg	(%rsi)
	END
	ROW "invlpg, not canonical", NONE
	mov	$0x800000000000, %rax
	invlpg	(%rax)
	END
	ROW "invpcid of type 4", OR(GP, UD)
	mov	$4, %eax
	invpcid	(%rsi), %rax
	END
	ROW "invpcid, all", OR(NONE, UD)
	movq	$0, (%rsi)
	movq	$0, 8(%rsi)
	mov	$2, %eax
	invpcid	(%rsi), %rax
	END
	ROW "mov cr3 to itself", NONE
	mov	%cr3, %rax
	mov	%rax, %cr3
	END
	ROW "clts", NONE
	clts
	END
	ROW "an SSE instruction with TS set", NM
	mov	%cr0, %rax
	or	$8, %rax
	mov	%rax, %cr0
	xorps	%xmm0, %xmm0
	END
	ROW "lmsw", NONE
	smsw	%eax
	or	$8, %eax
	lmsw	%ax
	END
	ROW "cpuid", NONE
	xor	%eax, %eax
	cpuid
	END
	ROW "rdtsc", NONE
	rdtsc
	END
	ROW "swapgs", NONE
	swapgs
	swapgs
	END
	ROW "sysenter", GP
	sysenter
	END
	ROW "sysexit", GP
	sysexitl
	END

/* ---- Addresses that are not canonical ---- */
	ROW "read, not canonical", GP
	mov	$0x800000000000, %rax
	mov	(%rax), %bl
	END
	ROW "jmp, not canonical", GP
	mov	$0x800000000000, %rax
	jmp	*%rax
	END
	ROW "call, not canonical", GP
	mov	$0xffff7fffffffffff, %rax
	call	*%rax
	END
	ROW "ret, not canonical", GP
	mov	$0x800000000000, %rax
	push	%rax
	ret
	END
	ROW "iret to rip that is not canonical", GP
	mov	%rsp, %rax
	pushq	$DUNE_SEL_DATA0
	push	%rax
	pushq	$0x202
	pushq	$DUNE_SEL_CODE0
	mov	$0x800000000000, %rax
	push	%rax
	iretq
	END
	ROW "push, rsp not canonical", SS
	mov	$0x800000000010, %rsp
	push	%rax
	END
	ROW "rbp not canonical", SS
	mov	$0x800000000000, %rbp
	mov	(%rbp), %al
	END
	ROW "an exception with rsp not canonical", UD
	mov	$0x800000000000, %rsp
	ud2
	END
	ROW "sysret to rip that is not canonical", GP
	mov	$0x800000000000, %rcx
	mov	$0x202, %r11d
	sysretq
	END
	ROW "wrgsbase, not canonical", GP
	mov	%cr4, %rax
	or	$0x10000, %rax
	mov	%rax, %cr4
	mov	$0x800000000000, %rax
	wrgsbase %rax
	END
	ROW "lgdt, not canonical", GP
	movw	$0x7f, (%rsi)
	mov	$0x800000000000, %rax
	mov	%rax, 2(%rsi)
	lgdt	(%rsi)
	END
	ROW "lidt, not canonical", GP
	movw	$0xfff, (%rsi)
	mov	$0x800000000000, %rax
	mov	%rax, 2(%rsi)
	lidt	(%rsi)
	END

/* ---- Software and trap-like exceptions ---- */
	ROW "int3", BP
	int3
	END
	ROW "int 3, the long way", BP
	.byte	0xcd, 3
	END
	ROW "icebp", DB
	.byte	0xf1
	END
	ROW "into", UD
	.byte	0xce
	END
	ROW "int 14", PF, ANY /* without an error code */
	int	$14
	END
	ROW "int 32", 32
	int	$32
	END
	ROW "int 255", 255
	int	$255
	END
	ROW "ud0", UD
	ud0	%eax, %eax
	END
	ROW "ud1", UD
	ud1	%eax, %eax
	END
	ROW "lock nop", UD
	.byte	0xf0, 0x90
	END
	ROW "16 bytes", OR(GP, UD)
	.fill	15, 1, 0x66
	nop
	END
	ROW "divide by zero", 0
	xor	%eax, %eax
	div	%eax
	END

/* ---- Single step; the trap comes after the instruction that follows POPF ---- */
	ROW "TF over nop", DB, user=DB
	SET_TF
	nop
	ud2
	END
	ROW "TF over cpuid", DB, user=DB
	xor	%eax, %eax
	SET_TF
	cpuid
	ud2
	END
	ROW "TF over hlt", DB, user=GP
	SET_TF
	hlt
	ud2
	END
	ROW "TF over rdmsr of FS_BASE", DB
	mov	$0xc0000100, %ecx
	SET_TF
	rdmsr
	ud2
	END
	ROW "TF over mov from dr7", DB
	SET_TF
	mov	%dr7, %rax
	ud2
	END
	ROW "TF and a fault", GP, user=GP
	SET_TF
	wbinvd
	ud2
	END
	ROW "TF and icebp", DB, user=DB
	SET_TF
	.byte	0xf1
	ud2
	END

/* ---- The shadow of MOV SS and STI, with and without TF ---- */
	ROW "mov ss and vmxoff", UD, user=UD
	mov	%ss, %eax
	mov	%eax, %ss
	vmxoff
	END
	ROW "mov ss and cpuid", NONE, user=NONE
	mov	%ss, %ebx
	xor	%eax, %eax
	mov	%ebx, %ss
	cpuid
	END
	ROW "mov ss and icebp", DB, user=DB
	mov	%ss, %eax
	mov	%eax, %ss
	.byte	0xf1
	END
	ROW "mov ss and int3", BP, user=GP
	mov	%ss, %eax
	mov	%eax, %ss
	int3
	END
	ROW "mov ss with TF, and nop", DB, user=DB
	mov	%ss, %eax
	SET_TF
	mov	%eax, %ss
	nop
	ud2
	END
	ROW "mov ss with TF, and icebp", DB, user=DB
	mov	%ss, %eax
	SET_TF
	mov	%eax, %ss
	.byte	0xf1
	ud2
	END
	ROW "mov ss with TF, and int3", BP, user=GP
	mov	%ss, %eax
	SET_TF
	mov	%eax, %ss
	int3
	ud2
	END
	ROW "mov ss with TF, and cpuid", DB, user=DB
	mov	%ss, %ebx
	xor	%eax, %eax
	SET_TF
	mov	%ebx, %ss
	cpuid
	ud2
	END
	ROW "mov ss with TF, and hlt", DB, user=GP
	mov	%ss, %eax
	SET_TF
	mov	%eax, %ss
	hlt
	ud2
	END
	ROW "mov ss with TF, and vmxoff", UD, user=UD
	mov	%ss, %eax
	SET_TF
	mov	%eax, %ss
	vmxoff
	END
	ROW "mov ss with TF, and wbinvd", GP, user=GP
	mov	%ss, %eax
	SET_TF
	mov	%eax, %ss
	wbinvd
	END
	ROW "sti after cli with TF", DB
	cli
	SET_TF
	sti
	ud2
	END
	ROW "sti and cpuid", NONE
	xor	%eax, %eax
	cli
	sti
	cpuid
	END
	ROW "sti and hlt", NONE, user=GP
	cli
	sti
	hlt
	END

/* ---- Segments and gates: RAW_GDT is writable, entry 3 of it is the data segment ---- */
	.irp	register, ss, ds, es, fs, gs
	ROW "\register beyond the GDT", GP, 0xfff8
	mov	$0xfff8, %eax
	mov	%eax, %\register
	END
	.endr
	ROW "ss null in ring 0", NONE
	xor	%eax, %eax
	mov	%eax, %ss
	END
	ROW "ss null with RPL 3", GP
	mov	$3, %eax
	mov	%eax, %ss
	END
	ROW "ss with a code segment", GP, DUNE_SEL_CODE0
	mov	$DUNE_SEL_CODE0, %eax
	mov	%eax, %ss
	END
	ROW "ss of ring 3", GP, (DUNE_SEL_DATA3&~3)
	mov	$DUNE_SEL_DATA3, %eax
	mov	%eax, %ss
	END
	ROW "mov to cs", UD
	mov	$DUNE_SEL_DATA0, %eax
	.byte	0x8e, 0xc8
	END
	ROW "ds not present", NP, 0x48
	movabs	$0x00cf13000000ffff, %rax
	mov	%rax, RAW_GDT + 0x48
	mov	$0x48, %eax
	mov	%eax, %ds
	END
	ROW "ltr of null", GP
	xor	%eax, %eax
	ltr	%ax
	END
	ROW "ltr of a data segment", GP, DUNE_SEL_DATA0
	mov	$DUNE_SEL_DATA0, %eax
	ltr	%ax
	END
	ROW "ltr of a busy TSS", GP, 0x48
	movabs	$0x00008b0050000067, %rax
	mov	%rax, RAW_GDT + 0x48
	movq	$0, RAW_GDT + 0x50
	mov	$0x48, %eax
	ltr	%ax
	END
	ROW "ltr of a TSS", NONE
	movabs	$0x0000890050000067, %rax
	mov	%rax, RAW_GDT + 0x48
	movq	$0, RAW_GDT + 0x50
	mov	$0x48, %eax
	ltr	%ax
	END
	ROW "lldt of a TSS", GP, 0x48
	movabs	$0x0000890050000067, %rax
	mov	%rax, RAW_GDT + 0x48
	movq	$0, RAW_GDT + 0x50
	mov	$0x48, %eax
	lldt	%ax
	END
	ROW "a segment of the LDT, and of no LDT", GP, 4
	movabs	$0x0000820040000007, %rax /* over the GDT: its entry 0 */
	mov	%rax, RAW_GDT + 0x48
	movq	$0, RAW_GDT + 0x50
	mov	$0x48, %eax
	lldt	%ax
	xor	%eax, %eax
	lldt	%ax
	mov	$4, %eax
	mov	%eax, %ds
	END
	ROW "far jump to a TSS: a task switch", GP, 0x48
	movabs	$0x0000890050000067, %rax
	mov	%rax, RAW_GDT + 0x48
	movq	$0, RAW_GDT + 0x50
	movl	$0, (%rsi)
	movw	$0x48, 4(%rsi)
	ljmpl	*(%rsi)
	END
	ROW "far jump to a task gate", GP, 0x48
	movabs	$0x0000850000400000, %rax
	mov	%rax, RAW_GDT + 0x48
	movl	$0, (%rsi)
	movw	$0x48, 4(%rsi)
	ljmpl	*(%rsi)
	END
	ROW "far call by a call gate of 16 bits", GP, 0x48
	movabs	$0x0000840000108000, %rax
	mov	%rax, RAW_GDT + 0x48
	movl	$0, (%rsi)
	movw	$0x48, 4(%rsi)
	lcall	*(%rsi)
	END
	ROW "far call by a call gate to nothing", GP
	movabs	$0x00008c0000008000, %rax /* code selector 0 */
	mov	%rax, RAW_GDT + 0x48
	movq	$0, RAW_GDT + 0x50
	movl	$0, (%rsi)
	movw	$0x48, 4(%rsi)
	lcall	*(%rsi)
	END
	ROW "far call by a call gate to ring 0", UD
	movabs	$0x00008c0000100000, %rax /* RAW_DATA + 0x10 */
	mov	%rax, RAW_GDT + 0x48
	movw	$2, RAW_GDT + 0x4e
	movw	$0x10, RAW_GDT + 0x48
	movq	$0, RAW_GDT + 0x50
	movw	$0x0b0f, 0x10(%rsi) /* ud2 */
	movl	$0, (%rsi)
	movw	$0x48, 4(%rsi)
	lcall	*(%rsi)
	END
	ROW "iret with NT: a task switch", GP
	pushf
	orq	$0x4000, (%rsp)
	popf
	pushq	$DUNE_SEL_DATA0
	push	%rsp
	pushq	$0x202
	pushq	$DUNE_SEL_CODE0
	pushq	$0x8000
	iretq
	END
	ROW "iret to a code segment that is none", GP, DUNE_SEL_DATA0
	mov	%rsp, %rax
	pushq	$DUNE_SEL_DATA0
	push	%rax
	pushq	$0x202
	pushq	$DUNE_SEL_DATA0
	pushq	$0x8000
	iretq
	END
	ROW "int by a task gate", GP, (0x20*8+2)
	movabs	$0x0000850000400000, %rax
	mov	%rax, RAW_IDT + 0x200
	movq	$0, RAW_IDT + 0x208
	int	$0x20
	END
	ROW "int by a gate that is not present", NP, (0x21*8+2)
	movq	$0, RAW_IDT + 0x210
	movq	$0, RAW_IDT + 0x218
	mov	$0x00000f0000100000, %rax
	mov	%rax, RAW_IDT + 0x210
	int	$0x21
	END
	ROW "int beyond the IDT", GP, (0xff*8+2)
	movw	$0x2ff, (%rsi)
	movq	$RAW_IDT, 2(%rsi)
	lidt	(%rsi)
	int	$0xff
	END

/* ---- Nested exceptions ---- */
	ROW "#GP in #GP: #DF", DF
	movq	$0, RAW_IDT + 13 * 16
	movq	$0, RAW_IDT + 13 * 16 + 8
	movq	$0, RAW_IDT + 11 * 16
	movq	$0, RAW_IDT + 11 * 16 + 8
	mov	$0x800000000000, %rax
	mov	(%rax), %bl
	END
	ROW "#GP by an exit, in #GP: #DF", DF
	movq	$0, RAW_IDT + 13 * 16
	movq	$0, RAW_IDT + 13 * 16 + 8
	movq	$0, RAW_IDT + 11 * 16
	movq	$0, RAW_IDT + 11 * 16 + 8
	wbinvd
	END
	ROW "#PF in #PF: #DF", DF
	movabs	$0x00008f0000100000, %rax /* a gate on the stack of IST 2, at 0x40010000 */
	mov	%rax, RAW_IDT + 14 * 16
	movb	$2, RAW_IDT + 14 * 16 + 4
	movq	$0, RAW_IDT + 14 * 16 + 8
	mov	$0x40010000, %rax
	mov	%rax, RAW_TSS + 44
	mov	%rax, (%rax)
	END

	.pushsection .data.rel.ro.ring_0_rows, "aw"
	.globl	ring_0_rows_end
ring_0_rows_end:
	.popsection

	.section .note.GNU-stack, "", @progbits
