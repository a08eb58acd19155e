// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests: makes go wrong what does not by itself, by a probe in the kernel, so that
 * dune.ko needs no hook for it. Stock kernels are built without the kernel's own fault
 * injection; a probe does as well, and on each kernel. Never install it.
 *
 *   echo "SYMBOL VALUE NTH PID" >/sys/module/dune_inject/parameters/fail
 *
 * The NTHth call of SYMBOL from dune.ko returns VALUE at once; 0 only counts. With a PID,
 * calls of that process count wherever they come from: for the last call of a function,
 * which the compiler makes a jump. Reading gives "CALLS CALLER", where CALLER is where the
 * failed call came from, or "-". Must be loaded before dune.ko.
 * tests/fuzz/failed_calls_leave_nothing.c is the user.
 *
 *   echo "WHAT PID" >/sys/module/dune_inject/parameters/break_vmcs
 *
 * At the next hypercall of the process, something in its current VMCS is made wrong, which
 * no caller of the device can do. tests/guest/strange_exits_are_explained.c is the user.
 *
 *   echo "SYMBOL MICROSECONDS" >/sys/module/dune_inject/parameters/delay
 *
 * Calls of SYMBOL, but for dune.ko's, begin so much later, and interrupts that came meanwhile
 * come at that moment. tests/attack/device_shares_vmx.c is the user.
 *
 * One of them is armed at a time; an empty line ends it.
 *
 *   echo "CPU NUMBER" >/sys/module/dune_inject/parameters/nmi
 *
 * sends so many non-maskable interrupts to another CPU, each when its handler has taken the
 * one before; -ETIMEDOUT if it does not. tests/guest/nmis_are_the_hosts.c is the user.
 */
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <asm/apic.h>
#include <asm/nmi.h>
#include <asm/smp.h>
#include <asm/vmx.h>

static struct kprobe probe;
static bool armed;
static DEFINE_MUTEX(arm_lock);

static char symbol[64];
static int pid;

/* ---- A call that fails ------------------------------------------------------ */

static struct module *dune;
static unsigned long value;
static unsigned int nth;
static atomic_t nr_calls;
static char caller[128];

/* Where a function that fails at once goes: back to its caller. */
asmlinkage void dune_inject_return(void);
/* clang-format off */
asm(".pushsection .text, \"ax\"\n"
	".type dune_inject_return, @function\n"
	".globl dune_inject_return\n"
	"dune_inject_return:\n"
	ANNOTATE_NOENDBR "\n"
	ASM_RET "\n"
	".size dune_inject_return, .-dune_inject_return\n"
	".popsection\n");
/* clang-format on */

static int at_entry(struct kprobe *unused, struct pt_regs *regs)
{
	unsigned long from = *(unsigned long *)regs->sp;
	struct module *mod = READ_ONCE(dune);

	if (pid ? current->tgid != pid : !mod || !within_module(from, mod))
		return 0;
	if (atomic_inc_return(&nr_calls) != nth)
		return 0;
	snprintf(caller, sizeof(caller), "%pS", (void *)from);
	regs->ax = value;
	regs->ip = (unsigned long)dune_inject_return;
	return 1;
}
NOKPROBE_SYMBOL(at_entry);

/* That there is one keeps Linux from making the probe a jump, which cannot skip a function. */
static void after_entry(struct kprobe *unused, struct pt_regs *regs, unsigned long flags)
{
}
NOKPROBE_SYMBOL(after_entry);

static int parse_fail(const char *text)
{
	long long new_value;

	if (sscanf(text, "%63s %lli %u %d", symbol, &new_value, &nth, &pid) != 4)
		return -EINVAL;
	value = new_value;
	atomic_set(&nr_calls, 0);
	strscpy(caller, "-", sizeof(caller));
	probe.pre_handler = at_entry;
	probe.post_handler = after_entry;
	return 0;
}

/* ---- A VMCS that is wrong ---------------------------------------------------- */

static atomic_t nr_left;

static u64 read_field(unsigned long field)
{
	u64 content;

	asm volatile("vmread %1, %0" : "=r"(content) : "r"(field) : "cc");
	return content;
}

static void write_field(unsigned long field, u64 content)
{
	asm volatile("vmwrite %0, %1" : : "r"(content), "r"(field) : "cc");
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
	u64 controls = read_field(CPU_BASED_VM_EXEC_CONTROL);

	write_field(CPU_BASED_VM_EXEC_CONTROL, controls | CPU_BASED_RDTSC_EXITING);
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
static int at_exit(struct kprobe *unused, struct pt_regs *regs)
{
	if (current->tgid == pid && read_field(VM_EXIT_REASON) == EXIT_REASON_VMCALL &&
	    atomic_dec_if_positive(&nr_left) >= 0)
		way();
	return 0;
}

static int parse_break_vmcs(const char *text)
{
	char what[16];
	int i;

	if (sscanf(text, "%15s %d", what, &pid) != 2)
		return -EINVAL;
	way = NULL;
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		if (!strcmp(what, ways[i].name))
			way = ways[i].function;
	}
	if (!way)
		return -EINVAL;
	atomic_set(&nr_left, 1);
	strscpy(symbol, "dune:answer_exit", sizeof(symbol));
	probe.pre_handler = at_exit;
	return 0;
}

/* ---- A call that takes its time --------------------------------------------- */

static unsigned int delay_us;

/* Interrupts off. */
static int at_late_entry(struct kprobe *unused, struct pt_regs *regs)
{
	unsigned long from = *(unsigned long *)regs->sp;
	struct module *mod = READ_ONCE(dune);

	if (!mod || !within_module(from, mod))
		udelay(delay_us);
	return 0;
}

static int parse_delay(const char *text)
{
	if (sscanf(text, "%63s %u", symbol, &delay_us) != 2 || delay_us > 5000)
		return -EINVAL;
	probe.pre_handler = at_late_entry;
	return 0;
}

/* ---- Non-maskable interrupts ------------------------------------------------ */

static atomic_t nr_sent, nr_taken;

static int take_nmi(unsigned int type, struct pt_regs *regs)
{
	if (atomic_read(&nr_taken) == atomic_read(&nr_sent))
		return NMI_DONE;
	atomic_inc(&nr_taken);
	return NMI_HANDLED;
}

/* As the kernel does, which does not export it. */
static void send_nmi(int cpu)
{
	u32 to = per_cpu(x86_cpu_to_apicid, cpu);
	unsigned long flags;

	local_irq_save(flags);
	atomic_inc(&nr_sent);
	if (x2apic_enabled()) {
		asm volatile("mfence; lfence; wrmsr"
			     :
			     : "c"(APIC_BASE_MSR + (APIC_ICR >> 4)), "a"(APIC_DM_NMI), "d"(to)
			     : "memory");
	} else {
		native_apic_mem_write(APIC_ICR2, to << 24);
		native_apic_mem_write(APIC_ICR, APIC_DM_NMI);
	}
	local_irq_restore(flags);
}

static int send_nmis(int cpu, unsigned int number)
{
	while (number--) {
		int patience = 1000000;

		send_nmi(cpu);
		while (atomic_read(&nr_taken) != atomic_read(&nr_sent)) {
			if (!patience--)
				return -ETIMEDOUT;
			cpu_relax();
		}
		udelay(20); /* where it came, things go on */
		cond_resched();
	}
	return 0;
}

static int nmi_set(const char *text, const struct kernel_param *param)
{
	unsigned int cpu, number;
	int err;

	if (sscanf(text, "%u %u", &cpu, &number) != 2 || cpu >= nr_cpu_ids || !cpu_online(cpu))
		return -EINVAL;
	mutex_lock(&arm_lock);
	err = register_nmi_handler(NMI_LOCAL, take_nmi, 0, "dune_inject");
	if (!err) {
		err = send_nmis(cpu, number);
		unregister_nmi_handler(NMI_LOCAL, "dune_inject");
	}
	mutex_unlock(&arm_lock);
	return err;
}

/* ---- The parameters --------------------------------------------------------- */

static void disarm(void)
{
	if (armed)
		unregister_kprobe(&probe);
	armed = false;
}

static int arm(const char *text, int (*parse)(const char *text))
{
	int err = 0;

	mutex_lock(&arm_lock);
	disarm();
	if (*text && *text != '\n') {
		/* It is not to be used a second time as it is left. */
		probe = (struct kprobe){ .symbol_name = symbol };
		err = parse(text) ?: register_kprobe(&probe);
		armed = !err;
	}
	mutex_unlock(&arm_lock);
	return err;
}

static int fail_set(const char *text, const struct kernel_param *param)
{
	return arm(text, parse_fail);
}

static int fail_get(char *to, const struct kernel_param *param)
{
	return sysfs_emit(to, "%d %s\n", atomic_read(&nr_calls), caller);
}

static int break_vmcs_set(const char *text, const struct kernel_param *param)
{
	return arm(text, parse_break_vmcs);
}

static int delay_set(const char *text, const struct kernel_param *param)
{
	return arm(text, parse_delay);
}

static const struct kernel_param_ops fail_ops = { .set = fail_set, .get = fail_get };
module_param_cb(fail, &fail_ops, NULL, 0600);
MODULE_PARM_DESC(fail, "SYMBOL VALUE NTH PID: which call of dune.ko's fails");

static const struct kernel_param_ops break_vmcs_ops = { .set = break_vmcs_set };
module_param_cb(break_vmcs, &break_vmcs_ops, NULL, 0200);
MODULE_PARM_DESC(break_vmcs, "WHAT PID: rflags, controls, rdtsc or launch, of whose VMCS");

static const struct kernel_param_ops delay_ops = { .set = delay_set };
module_param_cb(delay, &delay_ops, NULL, 0200);
MODULE_PARM_DESC(delay, "SYMBOL MICROSECONDS: whose calls begin later");

static const struct kernel_param_ops nmi_ops = { .set = nmi_set };
module_param_cb(nmi, &nmi_ops, NULL, 0200);
MODULE_PARM_DESC(nmi, "CPU NUMBER: who gets how many non-maskable interrupts");

/* ---- Who is dune.ko --------------------------------------------------------- */

static int module_changes(struct notifier_block *block, unsigned long state, void *data)
{
	struct module *mod = data;

	if (!strcmp(mod->name, "dune"))
		WRITE_ONCE(dune, state == MODULE_STATE_GOING ? NULL : mod);
	return NOTIFY_OK;
}

static struct notifier_block module_block = { .notifier_call = module_changes };

static int __init inject_init(void)
{
	return register_module_notifier(&module_block);
}

static void __exit inject_exit(void)
{
	disarm();
	unregister_module_notifier(&module_block);
}

module_init(inject_init);
module_exit(inject_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION(
	"Makes calls of Dune's module fail, breaks a guest's VMCS, and sends NMIs, for tests");
