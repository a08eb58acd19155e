/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device without libdune: a guest of a few pages, for tests of the ABI and
 * of what a hostile owner of /dev/dune can do. Tile 0 shows 1 GiB of the
 * process, of which the first RAW_BYTES are mapped, readable, writable and
 * executable; the guest's tables map it at 0.
 */
#ifndef DUNE_TESTS_RAW_H
#define DUNE_TESTS_RAW_H

#ifdef __ASSEMBLER__
#define __ASSEMBLY__ /* the kernel's name for the same */
#endif
#include <dune_abi.h>

#define RAW_PML4  0x0000
#define RAW_PDPT  0x1000
#define RAW_PD	  0x2000
#define RAW_IDT	  0x3000
#define RAW_GDT	  0x4000
#define RAW_TSS	  0x5000
#define RAW_CODE  0x8000
#define RAW_STACK 0x20000 /* its top */
#define RAW_DATA  0x20000
#define RAW_BYTES 0x40000

#ifndef __ASSEMBLER__
#include "harness.h"

struct raw {
	int device, vcpu;
	struct dune_run *run;
	char *memory; /* what the guest sees at 0 */
};

/* Opens the device and keeps KVM's VMX on if there is a KVM; no vcpu yet. */
void raw_open(struct raw *raw);
/* … and also memory, tables and a vcpu that is ready to run at RAW_CODE. */
void raw_create(struct raw *raw);
/* … upon a device that is open. */
void raw_create_upon(struct raw *raw);
/* The memory alone. */
void raw_map_memory(struct raw *raw);
/* A vcpu of the same vm, not yet with a state. */
int raw_create_vcpu(struct raw *raw, struct dune_run **run);
/* The state that raw_create() sets. */
struct dune_state raw_state(const struct raw *raw);
void raw_set_state(int vcpu, const struct dune_state *state);
/* Copies code to RAW_CODE and lets the vcpu begin there with rdi and rsi. */
void raw_load(struct raw *raw, const char *code, uint64_t rdi, uint64_t rsi);
/* Runs until something else than DUNE_EXIT_INTR: the exit reason or -errno. */
long raw_run(struct raw *raw);
long raw_run_vcpu(int vcpu);
/* A new vm and vcpu work, from their beginning to their end. */
void raw_must_work(void);
/* The module's own counts. */
uint64_t raw_stat(const struct raw *raw, enum dune_stat stat);

/* Code for raw_load(), in raw_guest.S; each ends at raw_code_end. */
extern const char raw_code_end[];
extern const char raw_count[];	   /* rbx++; vmcall; for ever */
extern const char raw_spin[];	   /* for ever */
extern const char raw_read[];	   /* of rdi, then vmcall; for ever */
extern const char raw_write[];	   /* of sil to rdi, then vmcall; for ever */
extern const char raw_execute[];   /* the instruction that rdi points to, then vmcall */
extern const char raw_undefined[]; /* ud2 */
extern const char raw_ring3[];	   /* vmcall after an iret to ring 3 */
/* rbx = cr2, rax = KERNEL_GS_BASE, syscall; at …_lstar vmcall, then cr2 = rdi, vmcall,
 * rbx = cr2, vmcall */
extern const char raw_registers[], raw_registers_lstar[];
extern const char raw_spoil[];	/* selectors; all bases = rdi; then vmcall for ever */
extern const char raw_watch[];	/* dr0 = rdi, dr7 = rsi, then vmcall for ever */
extern const char raw_xrstor[]; /* of the components esi from rdi, then vmcall for ever */
extern const char raw_far[];	/* to rdi with code selector rsi */
extern const char raw_cpuid[];	/* of leaf rdi, rsi, then vmcall */
/* A handler for each vector: rbx = vector, vmcall. */
extern const char raw_handlers[];
#define RAW_HANDLER_BYTES 16

#endif /* __ASSEMBLER__ */
#endif
