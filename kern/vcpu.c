// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vcpu's life and its file: vm.c makes it, run.c runs it. The file owns the
 * vcpu, and the vcpu keeps its vm.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "debug.h"
#include "vcpu.h"
#include "vm.h"
#include "vmx.h"

/*
 * EPT mappings are tagged with their root as well as the VPID, so sharing a
 * number with KVM does no harm; a vcpu that finds none left runs without, and
 * flushes at each entry and exit.
 */
static DEFINE_IDA(vpids);
#define VPID_FIRST 0x8000
#define NR_VPIDS 0x8000U

static unsigned int nr_vpids = NR_VPIDS;
module_param(nr_vpids, uint, 0444);
MODULE_PARM_DESC(nr_vpids, "vcpus that get a VPID, at most 32768; all others flush the TLB at each entry and exit");

static void vcpu_destroy(struct dune_vcpu *vcpu)
{
	struct dune_vm *vm = vcpu->vm;

	dune_vm_del_vcpu(vm, vcpu);
	dune_ept_del_user(&vm->ept, &vcpu->ept_user);
	dune_ept_exit_fault(&vcpu->fault);
	dune_vmcs_exit(&vcpu->vmcs);
	if (vcpu->vpid)
		ida_free(&vpids, vcpu->vpid);
	free_page((unsigned long)vcpu->run);
	kfree(vcpu);
	atomic_dec(&vm->nr_vcpus);
	dune_vm_put(vm);
}

/* ---- File --------------------------------------------------------------------- */

static int vcpu_release(struct inode *inode, struct file *file)
{
	vcpu_destroy(file->private_data);
	return 0;
}

/* The cheap way in: no argument to copy, no number to look up. */
static loff_t vcpu_llseek(struct file *file, loff_t offset, int whence)
{
	if (unlikely(offset | whence))
		return -EINVAL;
	return dune_vcpu_run(file->private_data);
}

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct dune_vcpu *vcpu = file->private_data;

	if (current->mm != vcpu->vm->mm)
		return -ESTALE;
	if (vma->vm_pgoff || vma->vm_end - vma->vm_start != DUNE_RUN_SIZE ||
	    !(vma->vm_flags & VM_SHARED) || (vma->vm_flags & VM_EXEC))
		return -EINVAL;
	/* A fork child must not find its parent's registers. */
	compat_vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	compat_vm_flags_clear(vma, VM_MAYEXEC);
	return vm_insert_page(vma, vma->vm_start, virt_to_page(vcpu->run));
}

static int get_state(struct dune_vcpu *vcpu, struct dune_state __user *user)
{
	struct dune_state state;
	int err;

	if (copy_from_user(&state, user, sizeof(state)))
		return -EFAULT;
	err = dune_vcpu_get_state(vcpu, &state);
	if (err)
		return err;
	return copy_to_user(user, &state, sizeof(state)) ? -EFAULT : 0;
}

static int set_state(struct dune_vcpu *vcpu, struct dune_state __user *user)
{
	struct dune_state state;

	if (copy_from_user(&state, user, sizeof(state)))
		return -EFAULT;
	return dune_vcpu_set_state(vcpu, &state);
}

static int get_counters(struct dune_vcpu *vcpu, unsigned int cmd,
			void __user *user)
{
	struct dune_counters counters;

	if (current->mm != vcpu->vm->mm)
		return -ESTALE;
	dune_counters_read(&counters, vcpu);
	return dune_counters_copy(user, cmd, &counters);
}

static long vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dune_vcpu *vcpu = file->private_data;
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case DUNE_RUN:
		return arg ? -EINVAL : dune_vcpu_run(vcpu);
	case DUNE_GET_STATE:
		return get_state(vcpu, user);
	case DUNE_SET_STATE:
		return set_state(vcpu, user);
	case DUNE_GET_STATS:
	case DUNE_GET_EXITS:
		return get_counters(vcpu, cmd, user);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE,
	.release = vcpu_release,
	.llseek = vcpu_llseek,
	.unlocked_ioctl = vcpu_ioctl,
	.mmap = vcpu_mmap,
};

/* ---- Creation ------------------------------------------------------------------ */

static void take_vpid(struct dune_vcpu *vcpu)
{
	int vpid;

	if (!dune_vmx_caps.vpid || !nr_vpids)
		return;
	vpid = ida_alloc_range(&vpids, VPID_FIRST,
			       VPID_FIRST + min(nr_vpids, NR_VPIDS) - 1,
			       GFP_KERNEL_ACCOUNT);
	if (vpid > 0)
		vcpu->vpid = vpid;
}

/* Reclaim looks at all of a vm's vcpus for each page, and holds locks then. */
#define MAX_VCPUS 4096

static struct dune_vcpu *vcpu_alloc(struct dune_vm *vm)
{
	struct dune_vcpu *vcpu;
	int err = -ENOMEM;

	BUILD_BUG_ON(sizeof(struct dune_run) > DUNE_RUN_SIZE);
	if (!atomic_add_unless(&vm->nr_vcpus, 1, MAX_VCPUS))
		return ERR_PTR(-EMFILE);
	vcpu = kzalloc(sizeof(*vcpu), GFP_KERNEL_ACCOUNT);
	if (!vcpu)
		goto give_up;
	vcpu->run = (struct dune_run *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run)
		goto free_vcpu;
	err = dune_vmcs_init(&vcpu->vmcs);
	if (err)
		goto free_run;
	take_vpid(vcpu);
	vcpu->host.cpu = -1;
	vcpu->host.fs_base = ~0ull; /* no thread's: the first entry writes it */
	vcpu->dr6 = DR6_FIXED;
	vcpu->dr7 = DR7_FIXED;
	vcpu->vm = vm;
	dune_vm_get(vm);
	dune_ept_add_user(&vm->ept, &vcpu->ept_user);
	dune_vm_add_vcpu(vm, vcpu);
	return vcpu;

free_run:
	free_page((unsigned long)vcpu->run);
free_vcpu:
	kfree(vcpu);
give_up:
	atomic_dec(&vm->nr_vcpus);
	return ERR_PTR(err);
}

/**
 * dune_vcpu_create - DUNE_CREATE_VCPU
 * @vm: of the caller's own mm
 *
 * Return: a file descriptor, or -errno.
 */
int dune_vcpu_create(struct dune_vm *vm)
{
	struct dune_vcpu *vcpu;
	struct file *file;
	int fd, err;

	err = dune_vm_hold_vmx(vm);
	if (err)
		return err;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	vcpu = vcpu_alloc(vm);
	if (IS_ERR(vcpu)) {
		err = PTR_ERR(vcpu);
		goto put_fd;
	}
	file = anon_inode_getfile("[dune-vcpu]", &vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto destroy_vcpu;
	}
	fd_install(fd, file); /* last: from here on user space can close it */
	return fd;

destroy_vcpu:
	vcpu_destroy(vcpu);
put_fd:
	put_unused_fd(fd);
	return err;
}
