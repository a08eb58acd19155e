// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module and its device. An open of /dev/dune makes a vm; vm.c goes on.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "debugfs.h"
#include "host_walk.h"
#include "mitigation.h"
#include "vm.h"
#include "vmx.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static bool unsafe;
module_param(unsafe, bool, 0444);
MODULE_PARM_DESC(unsafe, "load even where the host's policy against speculation attacks cannot be kept, beside Hyper-V's enlightened VMCS, or where VMX cannot stop ENQCMDS");

static int device_open(struct inode *inode, struct file *file)
{
	struct dune_vm *vm = dune_vm_create();

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	file->private_data = vm;
	return 0;
}

static int device_release(struct inode *inode, struct file *file)
{
	dune_vm_put(file->private_data);
	return 0;
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.unlocked_ioctl = dune_vm_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "dune",
	.fops = &device_fops,
	.mode = 0600,
};

static int __init dune_init(void)
{
	int err;

	err = dune_vmx_caps_init(unsafe);
	if (err)
		return err;
	err = dune_mitigation_init(unsafe);
	if (err)
		goto exit_mitigation;
	host_walk_init();
	err = dune_vmx_cpu_init();
	if (err)
		goto exit_mitigation;
	err = dune_vm_init();
	if (err)
		goto exit_vmx_cpu;
	dune_debugfs_init();
	err = misc_register(&device);
	if (err)
		goto exit_debugfs;
	return 0;

exit_debugfs:
	dune_debugfs_exit();
	dune_vm_exit();
exit_vmx_cpu:
	dune_vmx_cpu_exit();
exit_mitigation:
	dune_mitigation_exit();
	return err;
}

static void __exit dune_exit(void)
{
	misc_deregister(&device);
	dune_debugfs_exit();
	dune_vm_exit();
	dune_vmx_cpu_exit();
	dune_mitigation_exit();
}

module_init(dune_init);
module_exit(dune_exit);
MODULE_LICENSE("GPL");
MODULE_AUTHOR("the Dune authors");
MODULE_VERSION("0.1");
MODULE_DESCRIPTION("Dune: privileged CPU features for ordinary processes");
