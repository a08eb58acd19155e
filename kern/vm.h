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

struct dune_hold;
struct file;

struct dune_vm {
	struct kref ref; /* the file, and each vcpu */
	struct mm_struct *mm; /* kept allocated by the notifier */
	struct dune_ept ept;
	struct dune_notifier notifier;

	struct mutex lock; /* tiles, and who keeps VMX on */
	struct dune_hold *hold; /* NULL until asked for, or needed */

	struct work_struct destroy_work;

	spinlock_t stats_lock;
	u64 past_stats[DUNE_STAT_NR]; /* of vcpus that are gone */
};

int dune_vm_init(void);
void dune_vm_exit(void);

struct dune_vm *dune_vm_create(void);
void dune_vm_get(struct dune_vm *vm);
void dune_vm_put(struct dune_vm *vm);

int dune_vm_hold_vmx(struct dune_vm *vm);
void dune_vm_retire_vcpu_stats(struct dune_vm *vm, const u64 *stats);

long dune_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
int dune_stats_copy(struct dune_stats __user *to, const u64 *stats);

#endif /* DUNE_VM_H */
