// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM flushes the branch predictors (IBPB) when a CPU goes from one of its VMCSs
 * to another. It does not when one of ours was in between, since we put back
 * what we found. So we do: once when a thread first takes a CPU over from KVM,
 * and once when it is scheduled out. In between KVM cannot run there.
 */
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <asm/asm.h>
#include <asm/msr-index.h>

#include "ibpb.h"

DEFINE_STATIC_KEY_FALSE(dune_ibpb);

/* In the current thread's list, from where it takes over to where it leaves. */
static DEFINE_PER_CPU(struct preempt_notifier, on_leave);

/* A CPU whose host says that it has it, but has not, is left alone. */
static noinline void flush_predictors(void)
{
	asm volatile("1: wrmsr\n"
		     "2:\n" _ASM_EXTABLE(1b, 2b)
		     :
		     : "c"(MSR_IA32_PRED_CMD), "a"(PRED_CMD_IBPB), "d"(0)
		     : "memory");
}

/* The scheduler's, interrupts off; a thread that dies comes by, too. */
static void leave(struct preempt_notifier *notifier, struct task_struct *next)
{
	/* Not hlist_del(): the caller goes on from this link to the next. */
	__hlist_del(&notifier->link);
	notifier->link.pprev = NULL;
	flush_predictors();
}

/* No thread arrives with it: it was taken off when the thread left. */
static struct preempt_ops leave_ops = { .sched_out = leave };

void dune_ibpb_barrier(bool kvm_stays)
{
	struct preempt_notifier *notifier = this_cpu_ptr(&on_leave);

	if (!hlist_unhashed(&notifier->link))
		return; /* this thread's own, who has not left since */
	flush_predictors();
	if (!kvm_stays)
		return; /* its next VMCS is another, and it flushes by itself */
	preempt_notifier_init(notifier, &leave_ops);
	preempt_notifier_register(notifier);
}

/* At load, where the host's policy asks for it, for one reason or two. */
void dune_ibpb_init(void)
{
	if (static_key_enabled(&dune_ibpb))
		return;
	preempt_notifier_inc();
	static_branch_enable(&dune_ibpb);
}

/*
 * Nobody enters any more, and each CPU's hotplug thread has run since, for
 * dune_vmx_cpu_exit(): so all who entered have left, and no list has ours.
 */
void dune_ibpb_exit(void)
{
	if (static_key_enabled(&dune_ibpb))
		preempt_notifier_dec();
}
