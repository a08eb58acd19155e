// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMX on and off, CPU by CPU, for systems where KVM does not keep it on.
 * Called by vm.c; below are vmcs.c, for what a CPU that goes away still holds,
 * and vmx_insn.h.
 *
 * KVM's hold is preferred (DUNE_HOLD_KVM), since both cannot own it: while we
 * do, KVM_CREATE_VM fails with EBUSY. So ours ends with the last vm.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/mutex.h>
#include <linux/panic_notifier.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/syscore_ops.h>

#include "compat.h"
#include "vmcs.h"
#include "vmx.h"
#include "vmx_insn.h"

static DEFINE_MUTEX(own_lock); /* the CPU hotplug lock nests inside */
static unsigned int own_users;
static int own_state; /* CPU hotplug's, while there are users */
static bool own_active; /* CPUs that come online turn VMX on */
static DEFINE_PER_CPU(void *, vmxon_region);
static DEFINE_PER_CPU(bool, own_on);
static int clear_state; /* CPU hotplug's, too: a CPU that goes loses VMCSs */

/* On the CPU itself, interrupts off. */
static int cpu_on(void)
{
	u32 *region = this_cpu_read(vmxon_region);

	if (this_cpu_read(own_on))
		return 0;
	if (native_read_cr4() & X86_CR4_VMXE)
		return -EBUSY; /* somebody else's */
	*region = dune_vmx_caps.revision;
	compat_cr4_set_vmxe();
	compat_intel_pt_handle_vmx(1);
	if (vmx_on(__pa(region))) {
		compat_intel_pt_handle_vmx(0);
		compat_cr4_clear_vmxe();
		return -EIO;
	}
	this_cpu_write(own_on, true);
	return 0;
}

static void cpu_off(void *unused)
{
	if (!this_cpu_read(own_on))
		return;
	dune_vmcs_clear_cpu();
	vmx_off();
	compat_intel_pt_handle_vmx(0);
	compat_cr4_clear_vmxe();
	this_cpu_write(own_on, false);
}

/* On the CPU itself, after user threads may run there: they wait for us. */
static int own_comes(unsigned int cpu)
{
	unsigned long flags;
	int err = 0;

	if (own_active) {
		local_irq_save(flags);
		err = cpu_on();
		local_irq_restore(flags);
	}
	return err;
}

/* On the CPU itself; no user thread adopts a VMCS on one that goes offline. */
static int own_goes(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	cpu_off(NULL);
	local_irq_restore(flags);
	return 0;
}

/*
 * KVM has two ways to turn VMX on: in an interrupt, which finds ours on or off, or
 * as here in the CPU's hotplug thread, and there one comes after the other.
 */
static int own_begin(void)
{
	int state;

	own_active = true;
	state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "x86/dune:vmx",
				  own_comes, own_goes);
	if (state < 0) {
		own_active = false;
		return state;
	}
	own_state = state;
	return 0;
}

/**
 * dune_vmx_get - turn VMX on for one more user
 *
 * Context: may sleep. Return: 0; -EBUSY: somebody else has it on, or the machine
 * goes down; -EOPNOTSUPP: this kernel does not let us; -EIO: the CPU refused.
 */
int dune_vmx_get(void)
{
	int err = 0;

	if (!compat_can_own_vmx())
		return -EOPNOTSUPP;

	mutex_lock(&own_lock);
	if (dune_vmcs_ended())
		err = -EBUSY;
	else if (!own_users)
		err = own_begin();
	if (!err)
		own_users++;
	mutex_unlock(&own_lock);
	return err;
}

void dune_vmx_put(void)
{
	mutex_lock(&own_lock);
	if (!--own_users) {
		own_active = false;
		cpuhp_remove_state(own_state);
	}
	mutex_unlock(&own_lock);
}

/* ---- CPUs that come and go, sleep, reboot -------------------------------- */

/* As own_goes(), whoever's VMX it is. */
static int cpu_goes(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	dune_vmcs_clear_cpu();
	local_irq_restore(flags);
	return 0;
}

static int vmx_suspend(COMPAT_SYSCORE_ARG)
{
	dune_vmcs_clear_cpu();
	cpu_off(NULL);
	return 0;
}

static void vmx_resume(COMPAT_SYSCORE_ARG)
{
	if (own_active && cpu_on())
		pr_err("VMX is not to be had after resume\n");
}

static void vmx_shutdown(COMPAT_SYSCORE_ARG)
{
	on_each_cpu(cpu_off, NULL, 1);
}

static COMPAT_SYSCORE_OPS vmx_syscore_ops = {
	.suspend = vmx_suspend,
	.resume = vmx_resume,
	.shutdown = vmx_shutdown,
};

static struct compat_syscore vmx_syscore;

/**
 * dune_vmx_suspend_before_kvm - KVM, which has just got users, holds VMX for us
 *
 * At suspend KVM turns VMX off, too, and what a CPU has in its cache of our VMCSs
 * must be in memory by then. The last to register is the first to be called.
 *
 * Context: may sleep.
 */
void dune_vmx_suspend_before_kvm(void)
{
	mutex_lock(&own_lock);
	compat_unregister_syscore(&vmx_syscore, &vmx_syscore_ops);
	compat_register_syscore(&vmx_syscore, &vmx_syscore_ops);
	mutex_unlock(&own_lock);
}

static int vmx_reboot(struct notifier_block *nb, unsigned long action, void *p)
{
	/*
	 * INIT is blocked while VMX is on: a warm reset would hang, and a kernel that
	 * kexec starts dies. Before that, devices are shut down, while programs run on.
	 */
	mutex_lock(&own_lock);
	own_active = false;
	dune_vmcs_end();
	on_each_cpu(cpu_off, NULL, 1);
	mutex_unlock(&own_lock);
	return NOTIFY_OK;
}

static struct notifier_block reboot_block = {
	.notifier_call = vmx_reboot,
	.priority = 1, /* before KVM's, which turns its VMX off */
};

/*
 * A kernel that is started by the one that panics begins on this CPU, and dies at
 * its first write of CR4 if VMX is on. The others are stopped by now, and stay
 * so. (With KVM, it is KVM's to turn VMX off, which the kernel asks it for.)
 */
static int vmx_panic(struct notifier_block *nb, unsigned long action, void *p)
{
	unsigned long flags;

	local_irq_save(flags);
	cpu_off(NULL);
	local_irq_restore(flags);
	return NOTIFY_DONE;
}

static struct notifier_block panic_block = { .notifier_call = vmx_panic };

static void free_regions(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		free_page((unsigned long)per_cpu(vmxon_region, cpu));
}

int __init dune_vmx_cpu_init(void)
{
	int cpu, err;

	for_each_possible_cpu(cpu) {
		void *region = (void *)get_zeroed_page(GFP_KERNEL);

		per_cpu(vmxon_region, cpu) = region;
		if (!region) {
			err = -ENOMEM;
			goto free_regions;
		}
		dune_vmcs_init_cpu(cpu);
	}

	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "x86/dune:online", NULL,
				cpu_goes);
	if (err < 0)
		goto free_regions;
	clear_state = err;

	compat_register_syscore(&vmx_syscore, &vmx_syscore_ops);
	register_reboot_notifier(&reboot_block);
	atomic_notifier_chain_register(&panic_notifier_list, &panic_block);
	return 0;

free_regions:
	free_regions();
	return err;
}

void dune_vmx_cpu_exit(void)
{
	atomic_notifier_chain_unregister(&panic_notifier_list, &panic_block);
	unregister_reboot_notifier(&reboot_block);
	compat_unregister_syscore(&vmx_syscore, &vmx_syscore_ops);
	cpuhp_remove_state(clear_state);
	free_regions();
}
