// SPDX-License-Identifier: MIT
/*
 * The module, seen from user space: every call on /dev/dune is here, but for the
 * lseek() by which host.c runs a vcpu. Called in host context only. The contract
 * is kern/uapi/dune_abi.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "context.h"
#include "cpu.h"
#include "hypercall.h"

/* Programs like to name low descriptors themselves (shells, daemons): from here on, if so many may be. */
#define LOWEST_OWN_FD 900

static int move_up(int fd)
{
	struct rlimit limit = { 0 };
	long lowest = LOWEST_OWN_FD;
	int moved;

	if (!RAW(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) && limit.rlim_cur <= LOWEST_OWN_FD)
		lowest = limit.rlim_cur / 2;
	moved = RAW(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);
	if (moved < 0)
		return fd;
	RAW(SYS_close, fd);
	return moved;
}

/* An empty KVM VM, or -errno. */
static int create_kvm_vm(void)
{
	int kvm = RAW(SYS_openat, AT_FDCWD, "/dev/kvm", O_RDWR | O_CLOEXEC);
	int result;

	if (kvm < 0)
		return kvm;
	result = RAW(SYS_ioctl, kvm, KVM_CREATE_VM, 0);
	RAW(SYS_close, kvm);
	return result;
}

/*
 * KVM turns VMX on when its first VM is made and keeps it on while one lives. An
 * empty VM that the module holds is thus all that Dune needs beside it; where
 * the module holds one already, that does.
 */
static int hold_kvm(int vm_fd)
{
	struct dune_hold_kvm hold = { .flags = DUNE_HOLD_SHARED };
	int result = RAW(SYS_ioctl, vm_fd, DUNE_HOLD_KVM, &hold);

	if (result != -ENOENT)
		return result;
	hold.flags = 0;
	hold.kvm_vm_fd = create_kvm_vm();
	if (hold.kvm_vm_fd < 0)
		return hold.kvm_vm_fd;
	result = RAW(SYS_ioctl, vm_fd, DUNE_HOLD_KVM, &hold);
	RAW(SYS_close, hold.kvm_vm_fd);
	return result;
}

/*
 * A signal that arrives meanwhile interrupts both calls here (a notifier is
 * registered with the process's memory), and to KVM's SA_RESTART does not apply.
 */
int dune_backend_open(void)
{
	int fd, result;

	do
		fd = RAW(SYS_openat, AT_FDCWD, "/dev/dune", O_RDWR | O_CLOEXEC);
	while (fd == -EINTR);
	if (fd < 0)
		return fd;
	result = RAW(SYS_ioctl, fd, DUNE_GET_CAPS, &dune.caps);
	if (!result && dune.caps.abi_version != DUNE_ABI_VERSION)
		result = -EPROTO;
	if (result) {
		RAW(SYS_close, fd);
		return result;
	}
	do
		result = hold_kvm(fd);
	while (result == -EINTR);
	dune.kvm_held = !result;
	dune.vm_fd = move_up(fd);
	return 0;
}

int dune_backend_set_tile(uint32_t tile, uint32_t flags, uint64_t hva)
{
	struct dune_tile call = { .tile = tile, .flags = flags, .hva = hva };

	return RAW(SYS_ioctl, dune.vm_fd, DUNE_SET_TILE, &call);
}

int dune_backend_flush_tlb(void)
{
	return RAW(SYS_ioctl, dune.vm_fd, DUNE_FLUSH_TLB, 0);
}

int dune_backend_get_stats(struct dune_stats *stats)
{
	return RAW(SYS_ioctl, dune.vm_fd, DUNE_GET_STATS, stats);
}

int dune_backend_create_vcpu(void *at, struct dune_run **run)
{
	int fd = RAW(SYS_ioctl, dune.vm_fd, DUNE_CREATE_VCPU, 0);
	long page;

	if (fd < 0)
		return fd;
	fd = move_up(fd);
	page = RAW(SYS_mmap, at, DUNE_RUN_SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED | (at ? MAP_FIXED : 0), fd, 0);
	if (page < 0 && page > -4096) {
		RAW(SYS_close, fd);
		return page;
	}
	*run = (struct dune_run *)page;
	return fd;
}

int dune_backend_get_state(int vcpu_fd, struct dune_state *state)
{
	return RAW(SYS_ioctl, vcpu_fd, DUNE_GET_STATE, state);
}

int dune_backend_set_state(int vcpu_fd, const struct dune_state *state)
{
	return RAW(SYS_ioctl, vcpu_fd, DUNE_SET_STATE, state);
}

/* The lowest descriptor that Dune cannot do without and that is not below fd, or -1. */
long dune_backend_next_fd(unsigned fd)
{
	long next = (unsigned)dune.vm_fd >= fd ? dune.vm_fd : -1;

	dune_lock(&dune.lock);
	for (struct cpu *cpu = dune.cpus; cpu; cpu = cpu->next)
		if ((unsigned)cpu->vcpu_fd >= fd && (next < 0 || cpu->vcpu_fd < next))
			next = cpu->vcpu_fd;
	dune_unlock(&dune.lock);
	return next;
}
