/* SPDX-License-Identifier: GPL-2.0-only */
/* One vm: what an open /dev/dune is. main.c opens it, vcpus keep it. */
#ifndef DUNE_VM_H
#define DUNE_VM_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "dune_abi.h"
#include "ept.h"
#include "notifier.h"
#include "stats.h"

struct dentry;
struct dune_hold;
struct dune_vcpu;
struct file;
struct pid;

struct dune_vm {
	struct kref ref; /* the file, and each vcpu */
	struct mm_struct *mm; /* kept allocated by the notifier */
	struct dune_ept ept;
	struct dune_notifier notifier;

	struct mutex lock; /* tiles, and who keeps VMX on */
	struct dune_hold *hold; /* NULL until asked for, or needed */

	struct work_struct destroy_work;

	u64 id; /* no other vm ever has it */
	struct pid *pid; /* of the process that opened it */
	struct dentry *debugfs;

	spinlock_t vcpus_lock;
	struct list_head vcpus;
	u32 next_vcpu;
	atomic_t nr_vcpus;
	struct dune_counters past; /* of vcpus that are gone */
};

int dune_vm_init(void);
void dune_vm_exit(void);

struct dune_vm *dune_vm_create(void);
void dune_vm_get(struct dune_vm *vm);
void dune_vm_put(struct dune_vm *vm);

int dune_vm_hold_vmx(struct dune_vm *vm);
const char *dune_vm_vmx_holder(const struct dune_vm *vm);
void dune_vm_add_vcpu(struct dune_vm *vm, struct dune_vcpu *vcpu);
void dune_vm_del_vcpu(struct dune_vm *vm, struct dune_vcpu *vcpu);

long dune_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#endif /* DUNE_VM_H */
