/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's side of a vcpu: what the VMCS must know of this CPU and this
 * thread, and what of them an exit does not bring back. run.c calls all of it,
 * with interrupts off and our VMCS current; the inlines for each entry.
 */
#ifndef DUNE_HOST_H
#define DUNE_HOST_H

#include <linux/hw_breakpoint.h>
#include <linux/percpu.h>
#include <linux/thread_info.h>
#include <linux/types.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/msr-index.h>
#include <asm/segment.h>
#include <asm/special_insns.h>

#include "cpu_insn.h"
#include "vmx_insn.h"

#define DR7_FIXED 0x400UL /* Intel SDM, "Debug Registers" */

/* What the VMCS holds of it is written when it differs. */
struct dune_host {
	int cpu; /* whose state this is; -1: none yet */
	u64 rsp, cr3, cr4, fs_base; /* as in the VMCS */
	u64 lstar; /* the same on all CPUs, and never changed by Linux */
	struct desc_ptr gdt;

	/* What an exit does not restore; valid from load to put. */
	u64 displaced; /* VMCS, or VMX_NO_VMCS */
	u64 inactive_gs_base;
	u32 debugctl;
	bool has_segments; /* any of these is not null */
	u16 ds, es, fs, gs, ldt;
	u32 pkru;
	u64 dr7; /* the guest's, at entry: whether dr[] was saved */
	unsigned long dr[4];
};

bool dune_host_arrive(struct dune_host *host);

/* Before an entry. */
static __always_inline void dune_host_save(struct dune_host *host)
{
	u64 value;
	unsigned int ds, es, fs, gs, ldt;

	/* The VMCS's copy of what the exit restores. */
	value = cpu_read_cr3();
	if (unlikely(host->cr3 != value)) {
		host->cr3 = value;
		vmcs_write_natural(HOST_CR3, value);
	}
	value = cpu_read_fs_base();
	if (unlikely(host->fs_base != value)) {
		host->fs_base = value;
		vmcs_write_natural(HOST_FS_BASE, value);
	}

	/* What it does not restore. */
	savesegment(ds, ds);
	savesegment(es, es);
	savesegment(fs, fs);
	savesegment(gs, gs);
	asm volatile("sldt %0" : "=r"(ldt));
	host->has_segments = ds | es | fs | gs | ldt;
	if (unlikely(host->has_segments)) {
		host->ds = ds;
		host->es = es;
		host->fs = fs;
		host->gs = gs;
		host->ldt = ldt;
	}
	/*
	 * Without CR4.PKE the guest has no keys, but XRSTOR loads this register all the
	 * same, and Linux looks for a thread's own in the CPU.
	 */
	if (cpu_feature_enabled(X86_FEATURE_OSPKE))
		host->pkru = rdpkru();
	host->debugctl = cpu_read_msr(MSR_IA32_DEBUGCTLMSR); /* 32 bits used */
	host->inactive_gs_base = cpu_read_inactive_gs_base();
}

void dune_host_reload_segments(const struct dune_host *host);

/* After the last exit; the guest's own state has been put away. */
static __always_inline void dune_host_restore(const struct dune_host *host)
{
	native_load_gdt(&host->gdt); /* the exit left the limit at 64 K */
	/* And the TSS's too small for an I/O bitmap, which few have. */
	this_cpu_write(__tss_limit_invalid, true);
	if (unlikely(read_thread_flags() & _TIF_IO_BITMAP))
		refresh_tss_limit();
	if (unlikely(hw_breakpoint_active()))
		native_set_debugreg(7, __this_cpu_read(cpu_dr7) | DR7_FIXED);
	if (cpu_feature_enabled(X86_FEATURE_OSPKE) &&
	    unlikely(rdpkru() != host->pkru))
		wrpkru(host->pkru);
	if (unlikely(host->debugctl))
		cpu_write_msr(MSR_IA32_DEBUGCTLMSR, host->debugctl);
	if (unlikely(host->has_segments))
		dune_host_reload_segments(host);
}

#endif /* DUNE_HOST_H */
