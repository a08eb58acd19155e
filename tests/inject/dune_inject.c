// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests: makes a kernel function fail when dune.ko calls it. Stock kernels
 * are built without the kernel's own fault injection; a probe at the function's
 * entry that returns at once does as well, and on each kernel.
 *
 *   echo "SYMBOL VALUE NTH PID" >/sys/module/dune_inject/parameters/fail
 *
 * The NTHth call of SYMBOL from dune.ko returns VALUE; 0 only counts. With a
 * PID, calls of that process count wherever they come from: for the last call
 * of a function, which the compiler makes a jump. An empty line ends it. Reading
 * gives
 *
 *   CALLS CALLER
 *
 * where CALLER is where the failed call came from, or "-". Must be loaded before
 * dune.ko. tests/fuzz/failed_calls_leave_nothing.c is the user.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>

static struct module *dune;

static DEFINE_MUTEX(arm_lock);
static bool armed;
static char symbol[64];
static unsigned long value;
static unsigned int nth;
static int pid;
static atomic_t nr_calls;
static char caller[128];

/* ---- The probe ------------------------------------------------------------ */

/* Where a function that fails at once goes: back to its caller. */
asmlinkage void dune_inject_return(void);
asm(".pushsection .text, \"ax\"\n"
	".type dune_inject_return, @function\n"
	".globl dune_inject_return\n"
	"dune_inject_return:\n"
	ANNOTATE_NOENDBR "\n"
	ASM_RET "\n"
	".size dune_inject_return, .-dune_inject_return\n"
	".popsection\n");

static int at_entry(struct kprobe *probe, struct pt_regs *regs)
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

static struct kprobe probe = { .symbol_name = symbol, .pre_handler = at_entry };

/* ---- The parameter ---------------------------------------------------------- */

static void disarm(void)
{
	if (!armed)
		return;
	unregister_kprobe(&probe);
	armed = false;
	/* It is not to be used a second time as it is left. */
	probe = (struct kprobe){ .symbol_name = symbol, .pre_handler = at_entry };
}

static int arm(const char *text)
{
	long long new_value;
	int err;

	if (sscanf(text, "%63s %lli %u %d", symbol, &new_value, &nth, &pid) != 4)
		return -EINVAL;
	value = new_value;
	atomic_set(&nr_calls, 0);
	strscpy(caller, "-", sizeof(caller));
	err = register_kprobe(&probe);
	if (err)
		return err;
	armed = true;
	return 0;
}

static int fail_set(const char *text, const struct kernel_param *param)
{
	int err = 0;

	mutex_lock(&arm_lock);
	disarm();
	if (*text && *text != '\n')
		err = arm(text);
	mutex_unlock(&arm_lock);
	return err;
}

static int fail_get(char *to, const struct kernel_param *param)
{
	return sysfs_emit(to, "%d %s\n", atomic_read(&nr_calls), caller);
}

static const struct kernel_param_ops fail_ops = {
	.set = fail_set,
	.get = fail_get,
};
module_param_cb(fail, &fail_ops, NULL, 0600);
MODULE_PARM_DESC(fail, "SYMBOL VALUE NTH PID: which call of dune.ko's fails");

/* ---- Who is dune.ko ------------------------------------------------------------ */

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
MODULE_DESCRIPTION("Makes calls of Dune's module fail, for tests");
