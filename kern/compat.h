/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between the kernels we support sits here, and nowhere else:
 * Debian's 6.1, 6.12 and 7.2.
 */
#ifndef DUNE_COMPAT_H
#define DUNE_COMPAT_H

#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/perf_event.h>
#include <linux/pgtable.h>
#include <linux/syscore_ops.h>
#include <linux/version.h>
#include <asm/cpu.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>
#include <asm/mshyperv.h>
#include <asm/tlbflush.h>

/* Who holds a spinlock may be preempted there; dune_ept_flush() does not expect it. */
#ifdef CONFIG_PREEMPT_RT
#error "Dune does not support PREEMPT_RT"
#endif

/* 6.3 made vm_flags read-only and gave it accessors. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void compat_vm_flags_set(struct vm_area_struct *vma,
				       unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void compat_vm_flags_clear(struct vm_area_struct *vma,
					 unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#else
#define compat_vm_flags_set(vma, flags) vm_flags_set(vma, flags)
#define compat_vm_flags_clear(vma, flags) vm_flags_clear(vma, flags)
#endif

/* 6.6 has shadow stacks for user mode. */
#ifndef VM_SHADOW_STACK
#define VM_SHADOW_STACK 0
#endif

/* What the notifier's questions about age answer. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
typedef bool compat_young_t;
#else
typedef int compat_young_t;
#endif

/* FRED replaces the IDT, through which we hand NMIs back to Linux. */
#ifdef X86_FEATURE_FRED
#define compat_cpu_has_fred() cpu_feature_enabled(X86_FEATURE_FRED)
#else
#define compat_cpu_has_fred() false
#endif

/*
 * With Hyper-V's enlightened VMCS, KVM names its VMCS in memory that Hyper-V looks
 * at instead of what VMPTRLD says; nobody but KVM can switch that off.
 */
#if IS_ENABLED(CONFIG_HYPERV)
#define compat_kvm_may_use_evmcs()                                             \
	(ms_hyperv.hints & HV_X64_ENLIGHTENED_VMCS_RECOMMENDED)
#else
#define compat_kvm_may_use_evmcs() false
#endif

/*
 * CR4 has a per-CPU shadow that only the kernel's own function keeps right;
 * later kernels give that function to KVM alone. There, KVM must hold VMX. And
 * perf must not turn Intel PT on while VMX is, on CPUs that cannot have both.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define compat_can_own_vmx() true
#define compat_cr4_set_vmxe() cr4_set_bits_irqsoff(X86_CR4_VMXE)
#define compat_cr4_clear_vmxe() cr4_clear_bits_irqsoff(X86_CR4_VMXE)
#define compat_intel_pt_handle_vmx(on) intel_pt_handle_vmx(on)
#else
#define compat_can_own_vmx() false
#define compat_cr4_set_vmxe() ((void)0)
#define compat_cr4_clear_vmxe() ((void)0)
#define compat_intel_pt_handle_vmx(on) ((void)0)
#endif

/*
 * Whether #AC inside may be for a split lock, and what Linux does about one; it is
 * the last that later kernels give to KVM alone. There, all #AC are the guest's.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define compat_has_split_lock_ac() boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT)
#define compat_handle_split_lock(rip) ((void)handle_guest_split_lock(rip))
#else
#define compat_has_split_lock_ac() false
#define compat_handle_split_lock(rip) ((void)(rip))
#endif

/*
 * 6.19 gave the calls at suspend and resume an argument and a handle, and so
 * did a late 6.12 of the stable series: Kbuild looks into the header.
 */
#ifdef COMPAT_HAS_SYSCORE_HANDLE
#define compat_syscore syscore
#define COMPAT_SYSCORE_ARG void *unused
#define COMPAT_SYSCORE_OPS const struct syscore_ops
#define compat_register_syscore(handle, table)                                 \
	do {                                                                   \
		(handle)->ops = (table);                                       \
		register_syscore(handle);                                      \
	} while (0)
#define compat_unregister_syscore(handle, table) unregister_syscore(handle)
#else
struct compat_syscore {
};
#define COMPAT_SYSCORE_ARG void
#define COMPAT_SYSCORE_OPS struct syscore_ops
#define compat_register_syscore(handle, table)                                 \
	((void)(handle), register_syscore_ops(table))
#define compat_unregister_syscore(handle, table)                               \
	((void)(handle), unregister_syscore_ops(table))
#endif

/* Later kernels keep this one, too, to KVM; see fpu.c. */
#define COMPAT_HAS_SWITCH_FPU_RETURN                                           \
	(LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0))

/*
 * From 6.16 the state lies behind the task; with the kernel's FPU checks on, the
 * function that says so is not for modules.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define compat_task_fpu(task) ((struct fpu *)((void *)(task) + sizeof(*(task))))
#else
#define compat_task_fpu(task) (&(task)->thread.fpu)
#endif

/* 6.19 gave rseq a flag of its own. */
#ifdef _TIF_RSEQ
#define COMPAT_TIF_RSEQ _TIF_RSEQ
#else
#define COMPAT_TIF_RSEQ 0
#endif

/*
 * The guest has four-level tables, so its addresses have 48 bits even where
 * the host's have 57. (The kernel's own test changed its shape in 6.0 to 6.12.)
 */
static inline bool compat_is_canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16) == address;
}

#endif /* DUNE_COMPAT_H */
