/* SPDX-License-Identifier: MIT */
/*
 * The host loop and what it calls: thread.c for system calls that make or end
 * threads, fault_exit.c for other exits, fault.c for what nobody handles.
 */
#ifndef LIBDUNE_HOST_H
#define LIBDUNE_HOST_H

#define HOST_NR_SYSCALLS 512
/* What a special call returns that is to be forwarded after all: no errno. */
#define HOST_FORWARD (-4096)

#ifndef __ASSEMBLY__
#include <stdbool.h>
#include <stdint.h>
#include "dune_abi.h"

struct cpu;

/* Entry points from enter.S, on the host stack; they do not return. */
_Noreturn void dune_host_enter(struct cpu *cpu);
_Noreturn void dune_host_start(struct cpu *cpu);
_Noreturn void dune_host_return(uint64_t rsp, long result);
long dune_enter_switch(struct cpu *cpu);
extern char dune_enter_arrive[];
struct cpu *dune_leave_switch(void);

/* host_loop.S, and what it calls. */
_Noreturn void dune_host_loop(struct cpu *cpu);
extern long (*const dune_host_special[HOST_NR_SYSCALLS])(struct cpu *cpu, long nr);
long dune_host_handle_special(struct cpu *cpu, unsigned long nr);
void dune_host_handle_exit(struct cpu *cpu, long reason);

uint64_t dune_host_get_gs(void);
void dune_host_set_gs(uint64_t base);
void dune_host_set_fs(uint64_t base);

/* Can the host read what a system call's pointer points to? If not, it is -EFAULT. 8 bytes to a page. */
bool dune_host_can_read(const void *from, uint64_t bytes);

/* thread.c: system calls that need more than to be made. The result for RAX. */
long dune_thread_clone_call(struct cpu *cpu, long nr);
_Noreturn void dune_thread_exit(struct cpu *cpu, long code);
long dune_thread_clone(long nr, long a, long b, long c, long d, long e);
_Noreturn void dune_thread_exit_switch(struct cpu *cpu, long code);

/* fault_exit.c: one line about an exit that ends the program, and its end. */
_Noreturn void dune_fault_exit(struct cpu *cpu, long reason);
/* An access that the process could not make: #PF for the guest, or its end. */
void dune_fault_memory(struct cpu *cpu);
/* fault.c: can the process read or write the word there? */
bool dune_fault_can_access(uint64_t address, bool write);
/* The program ends by this signal, whatever handlers it has. */
_Noreturn void dune_fault_end(int signal);
/* Opens the mask, and reads or writes the byte at address, changing nothing, unless a
 * signal comes first. */
void dune_fault_touch(uint64_t address, bool write, const uint64_t *mask);

#endif
#endif
