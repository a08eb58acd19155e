// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vm and its calls: main.c opens it, its vcpus are vcpu.c's. Everything here
 * is process context and may sleep.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/nospec.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "debugfs.h"
#include "hold.h"
#include "vcpu.h"
#include "vm.h"
#include "vmx.h"

/* ---- Life ------------------------------------------------------------------ */

/*
 * The notifier's end waits for a grace period. Whoever closes the last file
 * (most often a process that exits) does not wait with it, unless many do.
 */
static struct workqueue_struct *destroy_queue;
static atomic_t nr_destroying;
#define MAX_DESTROYING 64

static void destroy_work(struct work_struct *work)
{
	struct dune_vm *vm = container_of(work, struct dune_vm, destroy_work);

	dune_notifier_exit(&vm->notifier);
	dune_ept_exit(&vm->ept);
	kfree(vm);
	atomic_dec(&nr_destroying);
}

static void vm_destroy(struct kref *ref)
{
	struct dune_vm *vm = container_of(ref, struct dune_vm, ref);

	dune_debugfs_del_vm(vm);
	/* At once: others may want VMX, or KVM's modules unloaded. */
	if (vm->hold)
		dune_hold_put(vm->hold);
	queue_work(destroy_queue, &vm->destroy_work);
	if (atomic_inc_return(&nr_destroying) > MAX_DESTROYING)
		flush_workqueue(destroy_queue);
}

int __init dune_vm_init(void)
{
	destroy_queue = alloc_workqueue("dune", WQ_UNBOUND, 0);
	return destroy_queue ? 0 : -ENOMEM;
}

/* Waits for what is still to be destroyed. */
void dune_vm_exit(void)
{
	destroy_workqueue(destroy_queue);
}

/**
 * dune_vm_create - a vm for the address space of the caller
 *
 * Return: with one reference, or an ERR_PTR.
 */
struct dune_vm *dune_vm_create(void)
{
	struct dune_vm *vm;
	int err;

	if (!current->mm)
		return ERR_PTR(-EINVAL);
	vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	if (!vm)
		return ERR_PTR(-ENOMEM);
	kref_init(&vm->ref);
	mutex_init(&vm->lock);
	INIT_WORK(&vm->destroy_work, destroy_work);
	spin_lock_init(&vm->vcpus_lock);
	INIT_LIST_HEAD(&vm->vcpus);
	vm->mm = current->mm;

	err = dune_ept_init(&vm->ept, vm->mm);
	if (err)
		goto free_vm;
	err = dune_notifier_init(&vm->notifier, &vm->ept);
	if (err)
		goto exit_ept;
	dune_debugfs_add_vm(vm); /* last: it can be read from now on */
	return vm;

exit_ept:
	dune_ept_exit(&vm->ept);
free_vm:
	kfree(vm);
	return ERR_PTR(err);
}

void dune_vm_get(struct dune_vm *vm)
{
	kref_get(&vm->ref);
}

void dune_vm_put(struct dune_vm *vm)
{
	kref_put(&vm->ref, vm_destroy);
}

void dune_vm_add_vcpu(struct dune_vm *vm, struct dune_vcpu *vcpu)
{
	spin_lock(&vm->vcpus_lock);
	vcpu->id = vm->next_vcpu++;
	list_add_tail(&vcpu->node, &vm->vcpus);
	spin_unlock(&vm->vcpus_lock);
}

/* Its counts stay. */
void dune_vm_del_vcpu(struct dune_vm *vm, struct dune_vcpu *vcpu)
{
	spin_lock(&vm->vcpus_lock);
	list_del(&vcpu->node);
	dune_counters_add(&vm->past, &vcpu->counters);
	spin_unlock(&vm->vcpus_lock);
}

/* ---- Who keeps VMX on -------------------------------------------------------- */

static struct dune_hold *hold_kvm_fd(int fd)
{
	struct dune_hold *hold;
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	hold = dune_hold_kvm(file);
	fput(file);
	return hold;
}

static int hold_kvm(struct dune_vm *vm, struct dune_hold_kvm __user *user)
{
	struct dune_hold_kvm call;
	struct dune_hold *hold;
	int err = 0;

	if (copy_from_user(&call, user, sizeof(call)))
		return -EFAULT;
	if (call.flags & ~DUNE_HOLD_SHARED)
		return -EINVAL;
	if (call.flags & DUNE_HOLD_SHARED)
		hold = call.kvm_vm_fd ? ERR_PTR(-EINVAL) : dune_hold_shared();
	else
		hold = hold_kvm_fd(call.kvm_vm_fd);
	if (IS_ERR(hold))
		return PTR_ERR(hold);

	mutex_lock(&vm->lock);
	if (vm->hold)
		err = -EBUSY;
	else
		vm->hold = hold;
	mutex_unlock(&vm->lock);
	if (err)
		dune_hold_put(hold);
	return err;
}

/**
 * dune_vm_hold_vmx - VMX stays on for the rest of the vm's life
 * @vm: about to get a vcpu
 *
 * Return: 0; -EBUSY: somebody else has VMX on; -EOPNOTSUPP; -ENOMEM.
 */
int dune_vm_hold_vmx(struct dune_vm *vm)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (!vm->hold) {
		struct dune_hold *hold = dune_hold_own();

		if (IS_ERR(hold))
			err = PTR_ERR(hold);
		else
			vm->hold = hold;
	}
	mutex_unlock(&vm->lock);
	return err;
}

/* For people: what keeps VMX on. */
const char *dune_vm_vmx_holder(const struct dune_vm *vm)
{
	const struct dune_hold *hold = READ_ONCE(vm->hold);

	if (!hold)
		return "none";
	return dune_hold_is_kvm(hold) ? "kvm" : "own";
}

/* ---- Calls ------------------------------------------------------------------- */

static int get_caps(struct dune_caps __user *user)
{
	const struct dune_vmx_caps *vmx = &dune_vmx_caps;
	struct dune_caps caps = {
		.abi_version = DUNE_ABI_VERSION,
		.nr_tiles = vmx->nr_tiles,
		.features = DUNE_CAP_RUN_LSEEK,
		.cr0_allowed = vmx->cr0_allowed,
		.cr4_allowed = vmx->cr4_allowed,
		.xcr0 = vmx->xcr0,
	};

	if (vmx->guest_1g)
		caps.features |= DUNE_CAP_GUEST_1G;
	if (vmx->ept_leaf_level >= 2)
		caps.features |= DUNE_CAP_EPT_2M;
	if (vmx->ept_leaf_level >= 3)
		caps.features |= DUNE_CAP_EPT_1G;
	if (vmx->vpid)
		caps.features |= DUNE_CAP_VPID;
	if (compat_can_own_vmx())
		caps.features |= DUNE_CAP_OWN_VMX;
	return copy_to_user(user, &caps, sizeof(caps)) ? -EFAULT : 0;
}

static int set_tile(struct dune_vm *vm, struct dune_tile __user *user)
{
	struct dune_tile tile;
	int err;

	if (copy_from_user(&tile, user, sizeof(tile)))
		return -EFAULT;
	if (tile.flags & ~DUNE_TILE_CLEAR ||
	    tile.tile >= dune_vmx_caps.nr_tiles)
		return -EINVAL;
	if (tile.flags & DUNE_TILE_CLEAR) {
		if (tile.hva)
			return -EINVAL;
	} else if (tile.hva & (DUNE_TILE_SIZE - 1) ||
		   tile.hva >= TASK_SIZE_MAX) {
		return -EINVAL;
	}

	tile.tile = array_index_nospec(tile.tile, dune_vmx_caps.nr_tiles);
	mutex_lock(&vm->lock);
	if (tile.flags & DUNE_TILE_CLEAR)
		err = dune_ept_clear_tile(&vm->ept, tile.tile);
	else
		err = dune_ept_set_tile(&vm->ept, tile.tile, tile.hva);
	mutex_unlock(&vm->lock);
	return err;
}

static int get_counters(struct dune_vm *vm, unsigned int cmd, void __user *user)
{
	struct dune_counters counters;

	dune_counters_read_vm(&counters, vm);
	return dune_counters_copy(user, cmd, &counters);
}

long dune_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dune_vm *vm = file->private_data;
	void __user *user = (void __user *)arg;

	if (current->mm != vm->mm)
		return -ESTALE;

	switch (cmd) {
	case DUNE_GET_CAPS:
		return get_caps(user);
	case DUNE_HOLD_KVM:
		return hold_kvm(vm, user);
	case DUNE_SET_TILE:
		return set_tile(vm, user);
	case DUNE_CREATE_VCPU:
		return arg ? -EINVAL : dune_vcpu_create(vm);
	case DUNE_FLUSH_TLB:
		if (arg)
			return -EINVAL;
		dune_ept_flush(&vm->ept);
		return 0;
	case DUNE_GET_STATS:
	case DUNE_GET_EXITS:
		return get_counters(vm, cmd, user);
	default:
		return -ENOTTY;
	}
}
