// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/dune: a file for each vm, PID-ID, that says what vm and
 * vcpus have counted so far. vm.c adds and removes it; dune-stat reads it. All
 * of it is lost without harm where debugfs is off, locked down or out of memory.
 *
 * A file is records, divided by empty lines: first the vm's, then one for each
 * vcpu. A record is lines of "name value" and begins with "vm" or "vcpu" and
 * its number. Names of counters are those of enum dune_stat, in small letters;
 * "exit:" and a hardware reason counts those exits, if there were any.
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string_helpers.h>

#include "debugfs.h"
#include "dune_exit_reason.h"
#include "vcpu.h"
#include "vm.h"

DUNE_EXIT_REASON_TABLE(exit_reasons);

static struct dentry *directory;
static atomic64_t last_id;

static const char *const stat_names[] = {
	[DUNE_STAT_EXITS] = "exits",
	[DUNE_STAT_EXIT_HYPERCALL] = "exit_hypercall",
	[DUNE_STAT_EXIT_MEMORY] = "exit_memory",
	[DUNE_STAT_EXIT_CPUID] = "exit_cpuid",
	[DUNE_STAT_EXIT_INTERRUPT] = "exit_interrupt",
	[DUNE_STAT_EXIT_NMI] = "exit_nmi",
	[DUNE_STAT_EXIT_EXCEPTION] = "exit_exception",
	[DUNE_STAT_EXIT_MSR] = "exit_msr",
	[DUNE_STAT_EXIT_CR] = "exit_cr",
	[DUNE_STAT_EXIT_DENIED] = "exit_denied",
	[DUNE_STAT_EXIT_OTHER] = "exit_other",
	[DUNE_STAT_RETURNS] = "returns",
	[DUNE_STAT_VMCS_ACCESSES] = "vmcs_accesses",
	[DUNE_STAT_VMCS_LOADS] = "vmcs_loads",
	[DUNE_STAT_MSR_WRITES] = "msr_writes",
	[DUNE_STAT_TLB_FLUSHES] = "tlb_flushes",
	[DUNE_STAT_EPT_MAPPED] = "ept_mapped",
	[DUNE_STAT_EPT_ZAPPED] = "ept_zapped",
	[DUNE_STAT_EPT_PAGES] = "ept_pages",
	[DUNE_STAT_INJECTIONS] = "injections",
	[DUNE_STAT_FAILED_ENTRIES] = "failed_entries",
};

static void show_exits(struct seq_file *seq, const u64 *exits)
{
	int i;

	for (i = 0; i < DUNE_EXITS_MAX; i++) {
		const char *name = dune_name_find(exit_reasons,
						  ARRAY_SIZE(exit_reasons), i);

		if (!exits[i])
			continue;
		if (name)
			seq_printf(seq, "exit:%s %llu\n", name, exits[i]);
		else
			seq_printf(seq, "exit:%d %llu\n", i, exits[i]);
	}
}

/* What only a vm has is left out of a vcpu's record. */
static void show_counters(struct seq_file *seq,
			  const struct dune_counters *counters, bool is_vm)
{
	int i;

	BUILD_BUG_ON(ARRAY_SIZE(stat_names) != DUNE_STAT_NR);
	for (i = 0; i < DUNE_STAT_NR; i++) {
		if (!is_vm && i >= DUNE_STAT_EPT_MAPPED &&
		    i <= DUNE_STAT_EPT_PAGES)
			continue;
		seq_printf(seq, "%s %llu\n", stat_names[i], counters->stat[i]);
	}
	show_exits(seq, counters->exits);
}

/* The name that the process has now; empty if it has ended. */
static void show_process(struct seq_file *seq, struct dune_vm *vm)
{
	struct task_struct *task = get_pid_task(vm->pid, PIDTYPE_TGID);
	char comm[TASK_COMM_LEN] = "";

	if (task) {
		get_task_comm(comm, task);
		put_task_struct(task);
	}
	seq_printf(seq, "pid %d\ncomm ", pid_nr(vm->pid));
	seq_escape_str(seq, comm, ESCAPE_ANY | ESCAPE_NAP, NULL);
	seq_putc(seq, '\n');
}

static int vm_show(struct seq_file *seq, void *unused)
{
	struct dune_vm *vm = seq->private;
	struct dune_counters *counters;
	struct dune_vcpu *vcpu;
	unsigned int nr_vcpus = 0;

	counters = kmalloc(sizeof(*counters), GFP_KERNEL);
	if (!counters)
		return -ENOMEM;

	spin_lock(&vm->vcpus_lock);
	list_for_each_entry(vcpu, &vm->vcpus, node)
		nr_vcpus++;
	spin_unlock(&vm->vcpus_lock);

	seq_printf(seq, "vm %llu\n", vm->id);
	show_process(seq, vm);
	seq_printf(seq, "vmx %s\nvcpus %u\n", dune_vm_vmx_holder(vm), nr_vcpus);
	dune_counters_read_vm(counters, vm);
	show_counters(seq, counters, true);

	spin_lock(&vm->vcpus_lock);
	list_for_each_entry(vcpu, &vm->vcpus, node) {
		seq_printf(seq, "\nvcpu %u\ncpu %d\n", vcpu->id,
			   READ_ONCE(vcpu->host.cpu));
		dune_counters_read(counters, vcpu);
		show_counters(seq, counters, false);
	}
	spin_unlock(&vm->vcpus_lock);
	kfree(counters);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vm);

void dune_debugfs_init(void)
{
	directory = debugfs_create_dir("dune", NULL);
}

void dune_debugfs_exit(void)
{
	debugfs_remove(directory);
}

/**
 * dune_debugfs_add_vm - show a vm
 * @vm: complete; opened by the current process
 *
 * No two files can have one name, since no two vms have one number.
 */
void dune_debugfs_add_vm(struct dune_vm *vm)
{
	char name[40];

	vm->id = atomic64_inc_return(&last_id);
	vm->pid = get_pid(task_tgid(current));
	snprintf(name, sizeof(name), "%d-%llu", pid_nr(vm->pid), vm->id);
	vm->debugfs = debugfs_create_file(name, 0400, directory, vm, &vm_fops);
}

/*
 * Waits for readers that are in vm_show(). Those that have the file open get
 * EIO from now on, from debugfs itself.
 */
void dune_debugfs_del_vm(struct dune_vm *vm)
{
	debugfs_remove(vm->debugfs);
	put_pid(vm->pid);
}
