// SPDX-License-Identifier: GPL-2.0-only
/*
 * Borrowing the thread's vector state, on kernels that keep the function for
 * it to KVM; run.c calls, around an entry, with interrupts off.
 *
 * kernel_fpu_begin() makes every thread's claim on this CPU's registers void,
 * which is what lets us fill them; then the same instructions as the kernel's
 * act on the same buffer.
 */
#include "fpu.h"

#if !COMPAT_HAS_SWITCH_FPU_RETURN

#include <linux/sched.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/fpu/xstate.h>

#include "cpu_insn.h"

static void xfd_set(u64 value)
{
	if (cpu_feature_enabled(X86_FEATURE_XFD))
		cpu_write_msr(MSR_IA32_XFD, value);
}

static u64 xfd_get(void)
{
	if (cpu_feature_enabled(X86_FEATURE_XFD))
		return cpu_read_msr(MSR_IA32_XFD);
	return 0;
}

static DEFINE_PER_CPU(u64, xfd_found);

static struct fpstate *own_state(void)
{
	return compat_task_fpu(current)->fpstate;
}

void dune_fpu_load(void)
{
	struct fpstate *state = own_state();
	/*
	 * All that the CPU has, lest another's stay in it, but PKRU: Linux
	 * switches that by itself, and it is the thread's now.
	 */
	u64 mask = XFEATURE_MASK_FPSTATE;
	u32 low = mask, high = mask >> 32;

	kernel_fpu_begin_mask(0);
	/* What another CPU may still hold of the thread gets old from here on. */
	compat_task_fpu(current)->last_cpu = -1;
	this_cpu_write(xfd_found, xfd_get());
	xfd_set(state->xfd);
	if (cpu_feature_enabled(X86_FEATURE_XSAVES))
		asm volatile("xrstors64 %0"
			     :
			     : "m"(state->regs.xsave), "a"(low), "d"(high)
			     : "memory");
	else
		asm volatile("xrstor64 %0"
			     :
			     : "m"(state->regs.xsave), "a"(low), "d"(high)
			     : "memory");
}

void dune_fpu_put(void)
{
	struct fpstate *state = own_state();
	u64 mask = state->xfeatures;
	u32 low = mask, high = mask >> 32;

	/* The format that the kernel itself would have chosen. */
	if (cpu_feature_enabled(X86_FEATURE_XSAVES))
		asm volatile("xsaves64 %0"
			     : "+m"(state->regs.xsave)
			     : "a"(low), "d"(high)
			     : "memory");
	else if (cpu_feature_enabled(X86_FEATURE_XSAVEC))
		asm volatile("xsavec64 %0"
			     : "+m"(state->regs.xsave)
			     : "a"(low), "d"(high)
			     : "memory");
	else
		asm volatile("xsave64 %0"
			     : "+m"(state->regs.xsave)
			     : "a"(low), "d"(high)
			     : "memory");
	xfd_set(this_cpu_read(xfd_found));
	kernel_fpu_end();
}

#endif /* !COMPAT_HAS_SWITCH_FPU_RETURN */
