// SPDX-License-Identifier: MIT
/*
 * The public way in and out: dune_init() prepares the process, dune_enter() gives
 * the thread an area (cpu.c) and goes to its host loop (enter.S, host.c), which
 * returns here inside.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include "dune.h"
#include "context.h"
#include "cpu.h"
#include "host.h"
#include "hypercall.h"
#include "tile.h"
#include "trap.h"

#define PUBLIC __attribute__((visibility("default")))

struct dune_context dune = { .vm_fd = -1 };

/* The linker's: the first and last byte of what holds libdune. */
extern char __ehdr_start[] __attribute__((visibility("hidden")));
extern char _end[] __attribute__((visibility("hidden")));

PUBLIC int dune_init(void)
{
	int result;

	if (dune.ready)
		return -EALREADY;
	dune.wrgsbase = getauxval(AT_HWCAP2) & 2; /* HWCAP2_FSGSBASE */
	result = dune_backend_open();
	if (result)
		return result;
	result = dune_pgtable_init();
	if (result)
		goto close_vm;
	result = dune_tile_init() ?: dune_tile_pin(__ehdr_start, _end - __ehdr_start);
	if (result)
		goto forget_tiles;
	dune_cpu_init_idt();
	dune_trap_init();
	dune.ready = true;
	return 0;

forget_tiles:
	dune_tile_exit();
	dune_pgtable_exit();
close_vm:
	RAW(SYS_close, dune.vm_fd);
	dune.vm_fd = -1;
	return result;
}

/* In a child of a fork outside, locks may be taken that nobody is there to give back: so none is asked for
 * before the module has said whose the vm is. */
static int check_owner(void)
{
	struct dune_stats stats;

	return dune_backend_get_stats(&stats);
}

long dune_call_outside(host_function function, long a, long b, long c)
{
	uint64_t mask = block_signals();
	long result = check_owner() ?: function(a, b, c);

	restore_signals(mask);
	return result;
}

static void destroy_cpu(struct cpu *cpu)
{
	uint64_t mask = block_signals();

	dune_cpu_destroy(cpu);
	restore_signals(mask);
}

/* All signals are blocked: a handler could enter as well. */
static long enter(uint64_t mask)
{
	struct cpu *cpu;
	long result;

	if (in_ring0())
		return -EBUSY;
	result = check_owner() ?: dune_cpu_create(&cpu);
	if (result)
		return result;
	cpu->start_mask = mask;
	result = dune_enter_switch(cpu);
	if (result)
		destroy_cpu(cpu);
	return result;
}

/* Of this thread, which would come back to one that does not know what returns are due. */
static bool has_shadow_stack(void)
{
	uint64_t top = 0;

	__asm__ volatile("rdsspq %0" : "+r"(top)); /* a NOP where there is none, as inside */
	return top;
}

PUBLIC int dune_enter(void)
{
	uint64_t mask;
	long result;

	if (!dune.ready)
		return -EINVAL;
	if (has_shadow_stack())
		return -EOPNOTSUPP;
	mask = block_signals();
	result = enter(mask);
	/* Inside, the host loop has given it back. */
	if (result)
		restore_signals(mask);
	return result;
}

static bool is_on_alternate_stack(void)
{
	stack_t stack;

	return !RAW(SYS_sigaltstack, NULL, &stack) && stack.ss_flags & SS_ONSTACK;
}

/* In a handler of an exception, a signal handler in one, or in what ring 3 called? A context
 * below the stack pointer is dead: siglongjmp() left it. Where the alternate stack lies says nothing. */
static bool is_in_trap(const struct cpu *cpu)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);

	return here - (uint64_t)cpu < CPU_BYTES || (uint64_t)cpu->ring3 > here ||
	       (cpu->ring3 && is_on_alternate_stack()) || dune_signal_stack_holds(cpu, here);
}

PUBLIC int dune_leave(void)
{
	if (!in_ring0())
		return -EPERM;
	if (is_in_trap(dune_cpu_current()) || dune_cpu_current()->borrowed)
		return -EBUSY;
	destroy_cpu(dune_leave_switch());
	return 0;
}

PUBLIC bool dune_inside(void)
{
	return in_ring0();
}

PUBLIC int dune_get_info(struct dune_info *info)
{
	if (!dune.ready)
		return -EINVAL;
	info->abi_version = dune.caps.abi_version;
	info->nr_tiles = dune.caps.nr_tiles;
	info->kvm_held = dune.kvm_held;
	info->guest_1g_pages = dune.caps.features & DUNE_CAP_GUEST_1G;
	return 0;
}

static long get_counts(long at, long unused, long unused2)
{
	struct dune_counts *counts = (struct dune_counts *)at;
	struct dune_stats stats;
	int result = dune_backend_get_stats(&stats);

	(void)unused;
	(void)unused2;
	if (result)
		return result;
	counts->exits = stats.value[DUNE_STAT_EXITS];
	counts->hypercalls = stats.value[DUNE_STAT_EXIT_HYPERCALL];
	counts->ept_faults = stats.value[DUNE_STAT_EXIT_MEMORY];
	counts->interrupts = stats.value[DUNE_STAT_EXIT_INTERRUPT];
	counts->returns = stats.value[DUNE_STAT_RETURNS];
	counts->msr_writes = stats.value[DUNE_STAT_MSR_WRITES];
	counts->vmcs_accesses = stats.value[DUNE_STAT_VMCS_ACCESSES];
	counts->vmcs_loads = stats.value[DUNE_STAT_VMCS_LOADS];
	counts->tlb_flushes = stats.value[DUNE_STAT_TLB_FLUSHES];
	counts->cpuid = stats.value[DUNE_STAT_EXIT_CPUID];
	counts->ept_mapped = stats.value[DUNE_STAT_EPT_MAPPED];
	counts->ept_zapped = stats.value[DUNE_STAT_EPT_ZAPPED];
	counts->ept_pages = stats.value[DUNE_STAT_EPT_PAGES];
	return 0;
}

PUBLIC int dune_get_counts(struct dune_counts *counts)
{
	return dune.ready ? host_call(get_counts, (long)counts, 0, 0) : -EINVAL;
}

static long flush_tlb(long unused, long unused2, long unused3)
{
	(void)unused;
	(void)unused2;
	(void)unused3;
	return dune_backend_flush_tlb();
}

PUBLIC int dune_flush_tlb(void)
{
	return dune.ready ? host_call(flush_tlb, 0, 0, 0) : -EINVAL;
}

/* Ring 0's `syscall` arrives at dune_trap_lstar and leaves for the host loop. */
PUBLIC long dune_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	return raw_syscall(nr, a, b, c, d, e, f);
}
