// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's side of a vcpu, as far as it changes seldom; see host.h.
 */
#include <linux/smp.h>
#include <asm/cpu_entry_area.h>
#include <asm/msr.h>
#include <asm/special_insns.h>

#include "host.h"

/* What of the host belongs to this CPU. */
static void write_cpu_state(int cpu)
{
	struct desc_ptr idt;
	u64 value;

	store_idt(&idt);
	vmcs_write_natural(HOST_IDTR_BASE, idt.address);
	vmcs_write_natural(HOST_GDTR_BASE, (unsigned long)get_cpu_gdt_ro(cpu));
	value = (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss;
	vmcs_write_natural(HOST_TR_BASE, value);
	value = cpu_read_msr(MSR_GS_BASE);
	vmcs_write_natural(HOST_GS_BASE, value);

	value = cpu_read_msr(MSR_IA32_SYSENTER_CS);
	vmcs_write32(HOST_IA32_SYSENTER_CS, value);
	value = cpu_read_msr(MSR_IA32_SYSENTER_ESP);
	vmcs_write_natural(HOST_IA32_SYSENTER_ESP, value);
	value = cpu_read_msr(MSR_IA32_SYSENTER_EIP);
	vmcs_write_natural(HOST_IA32_SYSENTER_EIP, value);
	vmcs_write_natural(HOST_CR0, read_cr0());
}

/**
 * dune_host_arrive - the VMCS's host part becomes this CPU's
 * @host: the vcpu's
 *
 * Return: whether it was another's, or nobody's.
 */
bool dune_host_arrive(struct dune_host *host)
{
	int cpu = smp_processor_id();
	bool is_new = host->cpu != cpu;
	u64 cr4 = cpu_read_cr4();

	if (is_new) {
		write_cpu_state(cpu);
		native_store_gdt(&host->gdt);
		host->lstar = cpu_read_msr(MSR_LSTAR);
		WRITE_ONCE(host->cpu, cpu);
	}
	if (host->cr4 != cr4) {
		host->cr4 = cr4;
		vmcs_write_natural(HOST_CR4, cr4);
	}
	return is_new;
}

void dune_host_reload_segments(const struct dune_host *host)
{
	if (host->ldt)
		asm volatile("lldt %0" : : "m"(host->ldt));
	loadsegment(ds, host->ds);
	loadsegment(es, host->es);
	if (host->fs) {
		loadsegment(fs, host->fs);
		cpu_write_fs_base(host->fs_base);
	}
	if (host->gs) {
		load_gs_index(host->gs);
		cpu_write_inactive_gs_base(host->inactive_gs_base);
	}
}
