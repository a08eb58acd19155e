/* SPDX-License-Identifier: MIT */
/*
 * What one thread inside Dune owns: an aligned area that begins with struct cpu
 * and holds its trap stacks and the stack of its host loop. The area is aligned
 * to its size, so the trap path finds struct cpu from RSP and trusts no segment
 * base. cpu.c makes it; trap_entry.S, enter.S and host.c use it.
 *
 *   0x00000  struct cpu (with the TSS)
 *   0x01000  guard
 *   0x02000  IST 1: all exceptions, 8 levels of 32 KiB, one for each nested one
 *   0x42000  guard
 *   0x43000  IST 2: #DB, 2 levels, as it can come in the first instruction of another
 *   0x53000  guard
 *   0x54000  IST 3: #DF, one level
 *   0x5c000  guard
 *   0x5d000  stack of the host loop
 *   0x100000 end
 */
#ifndef LIBDUNE_CPU_H
#define LIBDUNE_CPU_H

#define CPU_BYTES	0x100000
#define CPU_IST_LEVEL	0x8000
#define CPU_IST1_BOTTOM 0x2000
#define CPU_IST1_TOP	0x42000
#define CPU_IST1_FIRST	0x40000 /* a bit that is set in the first level, in no other */
#define CPU_IST2_BOTTOM 0x43000
#define CPU_IST2_TOP	0x53000
#define CPU_IST3_BOTTOM 0x54000
#define CPU_IST3_TOP	0x5c000
#define CPU_HOST_BOTTOM 0x5d000

#define CPU_SELF	0
#define CPU_SCRATCH	8
#define CPU_RING3	16
#define CPU_FS_RING0	24
#define CPU_FS_RING3	32
#define CPU_ENTER_RSP	40
#define CPU_RUN		48
#define CPU_VCPU_FD	56
#define CPU_SIGNAL	60
#define CPU_TSS		68
#define CPU_IST1	(CPU_TSS + 36)
#define CPU_IST2	(CPU_TSS + 44)
#define CPU_IST3	(CPU_TSS + 52)

/* struct ring3_context, as enter.S pushes it. */
#define RING3_MXCSR	  0
#define RING3_X87_CONTROL 4
#define RING3_IST1	  8
#define RING3_PREVIOUS	  16
#define RING3_VALUE	  24

#ifndef __ASSEMBLY__
#include <stdbool.h>
#include <stdint.h>
#include "guest_signal.h"

struct dune_run;
struct dune_state;
struct dune_ring3_end;

/*
 * A run of ring 3 in progress, on ring 0's stack. System calls from ring 3 use the
 * stack below. What a C function keeps comes back as it was here, whatever ring 3 did;
 * and IST 1 where dune_ring3_stop() leaves handlers behind. All of that is put by
 * here, not worked out at the end: siglongjmp() may have left dead runs behind.
 */
struct ring3_context {
	uint32_t mxcsr;
	uint16_t x87_control, pad;
	uint64_t ist1;
	struct ring3_context *previous; /* only to be put back, it may be dead */
	uint64_t *value;		/* NULL tells dune_ring3_run() from dune_ring3_call() */
	uint64_t callee_saved[6];
	uint64_t return_address;    /* of dune_ring3_call() */
	struct dune_ring3_end *end; /* may be NULL */
};

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map; /* beyond the limit: ring 3 has no ports */
} __attribute__((packed));

#define NR_LEVELS 11 /* of all trap stacks */
#define NR_HOLDS  8

/* A signal handler that interrupted handlers of exceptions (signal_stack.c): where its
 * frame is, the bottom of the alternate stack if it is there, and its own IST. */
struct trap_hold {
	uint64_t frame, bottom, ist[NR_TRAP_STACKS];
};

struct cpu {
	struct cpu *self;
	uint64_t scratch;
	struct ring3_context *ring3; /* the innermost one */
	uint64_t fs_ring0;	     /* FS base of ring 0 while ring 3 runs */
	uint64_t fs_ring3;	     /* FS base of ring 3 between calls */
	uint64_t enter_rsp;	     /* caller's stack, outside */
	struct dune_run *run;
	int vcpu_fd;
	uint8_t signal_state; /* SIGNAL_* */
	bool in_fault;	      /* a signal that comes now belongs to the trap */
	uint8_t pad0[6];
	struct tss tss;
	uint64_t fault_cr2; /* with SIGNAL_AT_EXIT */
	struct caught_signal signal;
	uint64_t start_mask; /* signals, while all are blocked for a call */
	uint64_t gs_outside; /* GS base once it leaves: ring 3 may change the guest's */
	struct cpu *next;    /* all cpus of the process; under dune.lock */
	uint64_t refused_rip, refused_gva; /* last refused access, to see a loop */
	uint64_t outdated_gva;		   /* last access by a tile that had been taken back */
	uint32_t refused_count, outdated_count;
	unsigned nr_holds;
	struct trap_hold holds[NR_HOLDS]; /* the outermost first */
	uint32_t generation;		  /* another one each time that a thread enters */
	bool borrowed;			  /* a vfork child's: the parent frees it */
};

extern bool dune_cpu_has_smap;

/* Area, vcpu and run page for one thread, and what signal handlers need. Host context, all
 * signals blocked, as for the two below. -errno. */
int dune_cpu_create(struct cpu **result);
void dune_cpu_destroy(struct cpu *cpu);
/* Takes it off the list of the process and closes its vcpu; the area stays. */
void dune_cpu_retire(struct cpu *cpu);
/* A new vcpu for an area that is there already: a fork child's. */
int dune_cpu_attach(struct cpu *cpu);
/* The system registers (tables, control registers, LSTAR) that a guest starts with. */
void dune_cpu_system_state(const struct cpu *cpu, struct dune_state *state);
void dune_cpu_init_idt(void);

/* From ring 0. KERNEL_GS_BASE holds the area; there are no interrupts that could
 * come between. */
static inline struct cpu *dune_cpu_current(void)
{
	struct cpu *cpu;

	__asm__ volatile("swapgs\n\tmov %%gs:%c1, %0\n\tswapgs" : "=r"(cpu) : "i"(CPU_SELF));
	return cpu;
}

static inline struct cpu *dune_cpu_from_stack(const void *address)
{
	return (struct cpu *)((uintptr_t)address & -(uintptr_t)CPU_BYTES);
}
#endif
#endif
