// SPDX-License-Identifier: GPL-2.0-only
/* Everything that can be done with the device; see attempts.h. */
#define _GNU_SOURCE
#include "attempts.h"
#include "leaks.h"
#include "module.h"
#include "raw.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static struct raw raw; /* the memory, for all children */
static struct dune_state start;
static int kvm_vm = -1;

void attempts_prepare(void)
{
	int kvm;

	raw.device = CHECK_OK(open("/dev/dune", O_RDWR | O_CLOEXEC));
	start = raw_state(&raw);
	close(raw.device);
	raw_map_memory(&raw);
	memcpy(raw.memory + RAW_CODE, raw_write, raw_code_end - raw_write);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm >= 0)
		kvm_vm = CHECK_OK(ioctl(kvm, KVM_CREATE_VM, 0));
}

/* Everything that a user of the device does; the first error, or 0. */
static int use_vcpu(int device, int vcpu)
{
	struct dune_state state = start;
	struct dune_stats stats;
	struct dune_exits exits;
	struct dune_run *run =
		mmap(NULL, DUNE_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	int error = run == MAP_FAILED ? errno : 0;
	long reason;

	state.gpr[DUNE_RDI] = RAW_DATA;
	if (!error && ioctl(vcpu, DUNE_SET_STATE, &state))
		error = errno;
	if (!error) {
		reason = raw_run_vcpu(vcpu);
		if (reason < 0)
			error = -reason;
		else
			CHECK_EQ(reason, DUNE_EXIT_HYPERCALL);
	}
	state.groups = DUNE_STATE_ALL;
	if (!error &&
	    (ioctl(vcpu, DUNE_GET_STATE, &state) || ioctl(vcpu, DUNE_GET_STATS, &stats) ||
	     ioctl(vcpu, DUNE_GET_EXITS, &exits) || ioctl(device, DUNE_GET_STATS, &stats) ||
	     ioctl(device, DUNE_GET_EXITS, &exits)))
		error = errno;
	return error;
}

/* What administrators see of it. Others' vms may go meanwhile. */
static int show_vms(void)
{
	DIR *directory = opendir("/sys/kernel/debug/dune");
	struct dirent *entry;
	int error = 0;

	while (directory && !error && (entry = readdir(directory))) {
		int fd = openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
		char text[4096];

		if (fd >= 0 && read(fd, text, sizeof(text)) < 0 && errno == ENOMEM)
			error = errno;
		close(fd);
	}
	if (directory)
		closedir(directory);
	return error;
}

static int use_device(int device)
{
	struct dune_hold_kvm hold = { .kvm_vm_fd = kvm_vm };
	struct dune_tile tile = { .hva = (uintptr_t)raw.memory };
	struct dune_caps caps;
	int vcpu, error;

	if (ioctl(device, DUNE_GET_CAPS, &caps))
		return errno;
	if (kvm_vm >= 0 && ioctl(device, DUNE_HOLD_KVM, &hold))
		return errno;
	if (ioctl(device, DUNE_SET_TILE, &tile))
		return errno;
	vcpu = ioctl(device, DUNE_CREATE_VCPU, 0);
	if (vcpu < 0)
		return errno;
	error = use_vcpu(device, vcpu) ?: show_vms();
	/* Nothing ends because of a failure before. */
	tile = (struct dune_tile){ .flags = DUNE_TILE_CLEAR };
	if (!error && ioctl(device, DUNE_SET_TILE, &tile))
		error = errno;
	close(vcpu);
	return error;
}

/* VMX of one's own: where KVM has it on, it cannot be had. */
static int use_without_kvm(int device)
{
	int vcpu = ioctl(device, DUNE_CREATE_VCPU, 0);

	if (vcpu < 0)
		return errno == EBUSY || errno == EOPNOTSUPP ? 0 : errno;
	close(vcpu);
	return 0;
}

static int open_and(int (*use_it)(int device))
{
	int device = open("/dev/dune", O_RDWR | O_CLOEXEC), error;

	if (device < 0)
		return errno;
	error = use_it(device);
	close(device);
	return error;
}

int attempt_use(void)
{
	return open_and(use_device) ?: open_and(use_without_kvm);
}

int attempt_load(void)
{
	int error;

	if (module_is_loaded("dune"))
		CHECK_EQ(module_unload("dune"), 0);
	error = -module_load_dune();
	CHECK_EQ(module_is_loaded("dune"), !error);
	CHECK_EQ(!access("/dev/dune", F_OK), !error);
	return error;
}

int attempt_in_child(int (*attempt)(void))
{
	pid_t child = harness_fork();

	if (!child) {
		leaks_count_me();
		_exit(attempt());
	}
	return harness_wait(child);
}
