/* SPDX-License-Identifier: MIT */
/*
 * Constants that the assembly and the C code of the trap path share: where each
 * register lies in struct dune_frame, and the flag values of the two rings.
 * trap.c asserts the offsets. Next to read: trap_entry.S.
 */
#ifndef LIBDUNE_FRAME_H
#define LIBDUNE_FRAME_H

#define FRAME_R11	     48
#define FRAME_RAX	     80
#define FRAME_RCX	     88
#define FRAME_RDI	     112
#define FRAME_FS_BASE	     120
#define FRAME_VECTOR	     128
#define FRAME_ERROR	     136
#define FRAME_RIP	     144
#define FRAME_CS	     152
#define FRAME_RFLAGS	     160
#define FRAME_RSP	     168
#define FRAME_SS	     176
#define FRAME_BYTES	     184

#define FRAME_VECTOR_SYSCALL 256

/*
 * Ring 0 runs with IOPL 3, ring 3 with IOPL 0: SYSCALL saves RFLAGS in R11, and
 * IOPL is the one thing there that ring 3 cannot forge. Everywhere IF is set;
 * interrupts go to the host whatever it says.
 */
#define RFLAGS_RING0 0x3202
#define RFLAGS_RING3 0x202
#define RFLAGS_IF    0x200
#define RFLAGS_IOPL  0x3000
#define RFLAGS_AC    0x40000
/* What ring 3 may have in RFLAGS: the arithmetic flags, TF DF IF RF AC ID. */
#define RFLAGS_USER 0x250fd5

/* Rows of dune_trap_table[] after the 32 exceptions. */
#define TRAP_PAGE_FAULT_SLOW 32 /* a page fault that needs a look first */
#define TRAP_SYSCALL	     33
#define TRAP_ROWS	     34

/* What DR6 says of a #DB; with none of it, it is an ICEBP's. */
#define DR6_POINTS 0xf
#define DR6_STEP   0x4000
#define DR6_CLEAR  0xffff0ff0

/* #PF error code. The last one is ours: fault.c sets it in page faults that the host's
 * mappings caused and not the guest's tables; trap.c takes it out. */
#define PF_PRESENT 1
#define PF_WRITE   2
#define PF_USER	   4
#define PF_FETCH   16
#define PF_HOST	   0x4000

#endif
