// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who keeps VMX on: KVM, through the file of an empty VM that we hold, or
 * vmx_cpu.c. All functions are for process context and may sleep.
 *
 * Making and destroying a KVM VM takes longer than all else that a short-lived
 * process does here, so the processes of one user share a hold. Those of
 * another do not: a KVM VM may own much memory, which would outlive its maker.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "hold.h"
#include "vmx.h"

struct dune_hold {
	struct list_head node; /* in kvm_holds, if KVM's */
	unsigned int users;
	struct file *kvm_file; /* NULL: VMX is ours */
	kuid_t uid; /* who brought the file */
};

static DEFINE_MUTEX(holds_lock);
static LIST_HEAD(kvm_holds);

/* Only KVM makes an anonymous inode of this name. */
static bool is_kvm_vm(struct file *file)
{
	return file_inode(file)->i_sb->s_magic == ANON_INODE_FS_MAGIC &&
	       !strcmp(file->f_path.dentry->d_name.name, "kvm-vm");
}

static struct dune_hold *hold_alloc(void)
{
	struct dune_hold *hold = kzalloc(sizeof(*hold), GFP_KERNEL_ACCOUNT);

	if (!hold)
		return NULL;
	INIT_LIST_HEAD(&hold->node);
	hold->users = 1;
	hold->uid = current_uid();
	return hold;
}

/**
 * dune_hold_kvm - VMX stays on as long as this KVM VM lives
 * @file: perhaps a KVM VM's; gets a reference
 *
 * Return: with one reference, or -EINVAL: not a KVM VM; -ENOMEM.
 */
struct dune_hold *dune_hold_kvm(struct file *file)
{
	struct dune_hold *hold;

	if (!is_kvm_vm(file))
		return ERR_PTR(-EINVAL);
	hold = hold_alloc();
	if (!hold)
		return ERR_PTR(-ENOMEM);
	hold->kvm_file = get_file(file);
	dune_vmx_suspend_before_kvm();

	mutex_lock(&holds_lock);
	list_add(&hold->node, &kvm_holds);
	mutex_unlock(&holds_lock);
	return hold;
}

/* One more reference to a KVM VM that this user's processes hold, or -ENOENT. */
struct dune_hold *dune_hold_shared(void)
{
	struct dune_hold *hold, *found = ERR_PTR(-ENOENT);

	mutex_lock(&holds_lock);
	list_for_each_entry(hold, &kvm_holds, node) {
		if (uid_eq(hold->uid, current_uid())) {
			hold->users++;
			found = hold;
			break;
		}
	}
	mutex_unlock(&holds_lock);
	return found;
}

/* VMX is ours as long as this lives; what dune_vmx_get() says if it cannot be. */
struct dune_hold *dune_hold_own(void)
{
	struct dune_hold *hold = hold_alloc();
	int err;

	if (!hold)
		return ERR_PTR(-ENOMEM);
	err = dune_vmx_get();
	if (err) {
		kfree(hold);
		return ERR_PTR(err);
	}
	return hold;
}

void dune_hold_put(struct dune_hold *hold)
{
	bool last;

	mutex_lock(&holds_lock);
	last = !--hold->users;
	if (last)
		list_del(&hold->node);
	mutex_unlock(&holds_lock);
	if (!last)
		return;

	if (hold->kvm_file)
		fput(hold->kvm_file);
	else
		dune_vmx_put();
	kfree(hold);
}

/* Else VMX is ours. */
bool dune_hold_is_kvm(const struct dune_hold *hold)
{
	return hold->kvm_file;
}
