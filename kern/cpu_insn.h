/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Privileged instructions that the run path needs bare: the kernel's own
 * wrappers go through paravirtual calls or are not exported.
 */
#ifndef DUNE_CPU_INSN_H
#define DUNE_CPU_INSN_H

#include <linux/types.h>

static __always_inline void cpu_write_msr(u32 msr, u64 value)
{
	asm volatile("wrmsr"
		     :
		     : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32))
		     : "memory");
}

static __always_inline u64 cpu_read_msr(u32 msr)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (u64)high << 32;
}

static __always_inline u64 cpu_read_fs_base(void)
{
	u64 base;

	asm volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static __always_inline void cpu_write_fs_base(u64 base)
{
	asm volatile("wrfsbase %0" : : "r"(base));
}

/*
 * IA32_KERNEL_GS_BASE without the MSR's price. The NMI and machine check paths
 * cope with any GS base; interrupts must be off.
 */
static __always_inline u64 cpu_read_inactive_gs_base(void)
{
	u64 base;

	asm volatile("swapgs; rdgsbase %0; swapgs" : "=r"(base) : : "memory");
	return base;
}

static __always_inline void cpu_write_inactive_gs_base(u64 base)
{
	asm volatile("swapgs; wrgsbase %0; swapgs" : : "r"(base) : "memory");
}

/* In: leaf in *eax, sub-leaf in *ecx. */
static __always_inline void cpu_cpuid(u32 *eax, u32 *ebx, u32 *ecx, u32 *edx)
{
	asm volatile("cpuid"
		     : "+a"(*eax), "=b"(*ebx), "+c"(*ecx), "=d"(*edx)
		     :
		     : "memory");
}

static __always_inline u64 cpu_read_cr2(void)
{
	u64 value;

	asm volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

static __always_inline void cpu_write_cr2(u64 value)
{
	asm volatile("mov %0, %%cr2" : : "r"(value));
}

static __always_inline u64 cpu_read_cr3(void)
{
	u64 value;

	asm volatile("mov %%cr3, %0" : "=r"(value) : : "memory");
	return value;
}

static __always_inline u64 cpu_read_cr4(void)
{
	u64 value;

	asm volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

#endif /* DUNE_CPU_INSN_H */
