// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which VMCS is current on which CPU. run.c loads ours and puts back what it
 * found, so that KVM never learns that we were there.
 */
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>

#include "ibpb.h"
#include "vmcs.h"
#include "vmx.h"
#include "vmx_insn.h"

DEFINE_PER_CPU(u64, dune_vmcs_accesses);

/* All that this CPU may hold in its cache, and the one we left current. */
static DEFINE_PER_CPU(struct list_head, vmcs_held);
static DEFINE_PER_CPU(u64, vmcs_left);
static bool ended; /* the machine goes down */

void dune_vmcs_write_failed(unsigned long field, u64 value)
{
	pr_warn_ratelimited("VMWRITE of field %#lx, value %#llx, failed: %u\n",
			    field, value, vmcs_read32(VM_INSTRUCTION_ERROR));
}

void dune_vmcs_init_cpu(int cpu)
{
	INIT_LIST_HEAD(per_cpu_ptr(&vmcs_held, cpu));
	per_cpu(vmcs_left, cpu) = VMX_NO_VMCS;
}

int dune_vmcs_init(struct dune_vmcs *vmcs)
{
	u32 *region = (u32 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

	if (!region)
		return -ENOMEM;
	*region = dune_vmx_caps.revision;
	vmcs->region = region;
	vmcs->pa = __pa(region);
	vmcs->cpu = -1;
	return 0;
}

void dune_vmcs_exit(struct dune_vmcs *vmcs)
{
	dune_vmcs_clear(vmcs);
	free_page((unsigned long)vmcs->region);
}

bool dune_vmcs_ended(void)
{
	return READ_ONCE(ended);
}

/*
 * First use on this CPU since it was last cleared. Not if the CPU goes: it may
 * have cleared what it holds, and a thread that it has not yet pushed away still
 * be here.
 */
static int adopt(struct dune_vmcs *vmcs, int cpu)
{
	if (!cpu_active(cpu))
		return -EXDEV;
	if (dune_vmcs_ended())
		return -EBUSY;
	if (vmx_vmclear(vmcs->pa))
		return -EIO;
	vmcs->launched = false;
	vmcs->cpu = cpu;
	list_add(&vmcs->node, this_cpu_ptr(&vmcs_held));
	return 0;
}

/**
 * dune_vmcs_load - make our VMCS current on this CPU
 * @vmcs: ours
 * @displaced: for dune_vmcs_put(): whose VMCS must be put back
 *
 * What we left ourselves, or nothing, need not be put back: then the VMCS stays
 * current, and the next load costs no VMPTRLD.
 *
 * Context: interrupts off until dune_vmcs_put().
 * Return: 0; -EXDEV: another CPU holds it, or this one goes: dune_vmcs_clear()
 * with interrupts on, let others run, then try again; -EBUSY: VMX is off here,
 * or the machine goes down; -EIO: the CPU refused.
 */
int dune_vmcs_load(struct dune_vmcs *vmcs, u64 *displaced)
{
	int cpu = smp_processor_id(), held_by;
	u64 found, left;

	if (unlikely(!(native_read_cr4() & X86_CR4_VMXE)))
		return -EBUSY;
	held_by = smp_load_acquire(&vmcs->cpu); /* pairs with clear_here() */
	if (unlikely(held_by != cpu)) {
		int err;

		if (held_by >= 0)
			return -EXDEV;
		err = adopt(vmcs, cpu);
		if (err)
			return err;
	}

	*displaced = VMX_NO_VMCS;
	vmx_vmptrst(&found);
	if (likely(found == vmcs->pa))
		return 0;
	left = this_cpu_read(vmcs_left);
	if (found != left)
		*displaced = found;
	/* Where there is none, there may have been one that KVM has cleared. */
	if (found != left || found == VMX_NO_VMCS)
		dune_ibpb_take_over(found != VMX_NO_VMCS);
	if (vmx_vmptrld(vmcs->pa))
		return -EIO;
	this_cpu_write(vmcs_left, vmcs->pa);
	return 1;
}

void dune_vmcs_put_back(u64 displaced)
{
	vmx_vmptrld(displaced);
}

static void clear_here(void *arg)
{
	struct dune_vmcs *vmcs = arg;

	if (vmcs->cpu != smp_processor_id())
		return;
	if (native_read_cr4() & X86_CR4_VMXE)
		vmx_vmclear(vmcs->pa);
	if (this_cpu_read(vmcs_left) == vmcs->pa)
		this_cpu_write(vmcs_left, VMX_NO_VMCS);
	list_del(&vmcs->node);
	/* From now on another CPU may adopt it. */
	smp_store_release(&vmcs->cpu, -1);
}

/**
 * dune_vmcs_clear - write the VMCS back to memory, wherever it is held
 * @vmcs: ours; nobody is entering it
 *
 * Context: interrupts on. A CPU that goes offline clears what it holds itself.
 */
void dune_vmcs_clear(struct dune_vmcs *vmcs)
{
	int cpu = READ_ONCE(vmcs->cpu);

	if (cpu >= 0)
		smp_call_function_single(cpu, clear_here, vmcs, 1);
}

/* On a CPU that loses VMX, interrupts off. */
void dune_vmcs_clear_cpu(void)
{
	struct dune_vmcs *vmcs, *next;

	list_for_each_entry_safe(vmcs, next, this_cpu_ptr(&vmcs_held), node)
		clear_here(vmcs);
}

static void clear_all_here(void *unused)
{
	dune_vmcs_clear_cpu();
}

/**
 * dune_vmcs_end - from now on no CPU holds any
 *
 * A kernel may be started with kexec, and use memory to which a CPU would write
 * back what it still has of a VMCS.
 *
 * Context: interrupts on.
 */
void dune_vmcs_end(void)
{
	WRITE_ONCE(ended, true);
	/* An adopt() that has not seen it is over before this comes to its CPU. */
	on_each_cpu(clear_all_here, NULL, 1);
}
