// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault to inject: at the next hypercall of one process, something in its current
 * VMCS is made wrong, which no caller of the device can do. A probe at the
 * module's own function does it, so that the module needs no hook for tests.
 * Loaded by tests/guest; never install it.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <asm/vmx.h>

static int process;
module_param(process, int, 0444);
MODULE_PARM_DESC(process, "whose VMCS to break");

static char *what = "";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "rflags, controls, rdtsc or launch");

static int times = 1;
module_param(times, int, 0444);
MODULE_PARM_DESC(times, "at how many hypercalls");

static atomic_t left;

static u64 read_field(unsigned long field)
{
	u64 value;

	asm volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
	return value;
}

static void write_field(unsigned long field, u64 value)
{
	asm volatile("vmwrite %0, %1" : : "r"(value), "r"(field) : "cc");
}

/* The guest's flags without the bit that is always set. */
static void break_rflags(void)
{
	write_field(GUEST_RFLAGS, 0);
}

static void break_controls(void)
{
	write_field(PIN_BASED_VM_EXEC_CONTROL, ~0U);
}

/* RDTSC exits, and the module has no handler for it. */
static void break_rdtsc(void)
{
	write_field(CPU_BASED_VM_EXEC_CONTROL,
		    read_field(CPU_BASED_VM_EXEC_CONTROL) |
			    CPU_BASED_RDTSC_EXITING);
}

/* Not launched any more, and the module does not know. */
static void break_launch(void)
{
	u64 vmcs;

	asm volatile("vmptrst %0" : "=m"(vmcs) : : "cc", "memory");
	asm volatile("vmclear %0" : : "m"(vmcs) : "cc", "memory");
	asm volatile("vmptrld %0" : : "m"(vmcs) : "cc", "memory");
}

static const struct {
	const char *name;
	void (*function)(void);
} ways[] = {
	{ "rflags", break_rflags },
	{ "controls", break_controls },
	{ "rdtsc", break_rdtsc },
	{ "launch", break_launch },
};

static void (*way)(void);

/* Interrupts off, the VMCS current. */
static int at_exit(struct kprobe *probe, struct pt_regs *regs)
{
	if (current->tgid == process &&
	    read_field(VM_EXIT_REASON) == EXIT_REASON_VMCALL &&
	    atomic_dec_if_positive(&left) >= 0)
		way();
	return 0;
}

static struct kprobe probe = {
	.symbol_name = "dune:dune_exit_handle",
	.pre_handler = at_exit,
};

static int __init break_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		if (!strcmp(what, ways[i].name))
			way = ways[i].function;
	}
	if (!way)
		return -EINVAL;
	atomic_set(&left, times);
	return register_kprobe(&probe);
}

static void __exit break_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(break_init);
module_exit(break_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Breaks a guest's VMCS, for Dune's tests");
