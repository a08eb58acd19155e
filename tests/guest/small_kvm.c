// SPDX-License-Identifier: GPL-2.0-only
/* A KVM guest whose results are known beforehand; see small_kvm.h. */
#define _GNU_SOURCE
#include "small_kvm.h"
#include "small_kvm_guest.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { MEMORY_BYTES = 0x8000, CODE = 0x1000, DATA = 0x4000 };
enum { CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10 };

/* MSRs that Dune's guest has values of its own for. */
static const struct kvm_msr_entry msr_values[] = {
	{ .index = 0xc0000081, .data = 0x0023001000000000 }, /* STAR */
	{ .index = 0xc0000082, .data = 0x12345678 },	     /* LSTAR */
	{ .index = 0xc0000084, .data = 0x47700 },	     /* FMASK */
	{ .index = 0xc0000102, .data = 0x1badb002 },	     /* KERNEL_GS_BASE */
};
enum { NR_MSRS = sizeof(msr_values) / sizeof(msr_values[0]) };

struct msrs {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[NR_MSRS];
};

struct machine {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	char *memory;
};

static int create(struct machine *machine)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY_BYTES };

	machine->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	machine->vm = ioctl(machine->kvm, KVM_CREATE_VM, 0);
	machine->vcpu = ioctl(machine->vm, KVM_CREATE_VCPU, 0);
	machine->run = mmap(NULL, ioctl(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
			    PROT_READ | PROT_WRITE, MAP_SHARED, machine->vcpu, 0);
	machine->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (machine->vcpu < 0 || machine->run == MAP_FAILED || machine->memory == MAP_FAILED)
		return -1;
	memcpy(machine->memory + CODE, small_kvm_code, small_kvm_code_end - small_kvm_code);
	region.userspace_addr = (uintptr_t)machine->memory;
	return ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static int set_state(struct machine *machine)
{
	const struct kvm_segment flat = { .limit = 0xffffffff,
					  .selector = 16,
					  .type = 3,
					  .present = 1,
					  .db = 1,
					  .s = 1,
					  .g = 1 };
	struct kvm_regs regs = { .rip = CODE, .rdi = DATA, .rflags = 2 };
	struct msrs msrs = { .head.nmsrs = NR_MSRS };
	struct kvm_sregs sregs;

	if (ioctl(machine->vcpu, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.cs = flat;
	sregs.cs.selector = 8;
	sregs.cs.type = 11;
	sregs.cr0 |= 1;
	sregs.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	memcpy(msrs.entries, msr_values, sizeof(msr_values));
	return ioctl(machine->vcpu, KVM_SET_SREGS, &sregs) ||
	       ioctl(machine->vcpu, KVM_SET_REGS, &regs) ||
	       ioctl(machine->vcpu, KVM_SET_MSRS, &msrs) != NR_MSRS;
}

/* What the guest's next round must come to. */
static uint32_t expect(uint32_t *random, uint32_t *sum)
{
	for (int i = 0; i < SMALL_KVM_STEPS; i++) {
		*random = *random * 1664525 + 1013904223;
		*sum += *random;
	}
	*random += (uint32_t)msr_values[NR_MSRS - 1].data;
	return *random;
}

static int compare_msrs(struct machine *machine, const char **why)
{
	struct msrs msrs = { .head.nmsrs = NR_MSRS };

	memcpy(msrs.entries, msr_values, sizeof(msr_values));
	for (int i = 0; i < NR_MSRS; i++)
		msrs.entries[i].data = 0;
	*why = "an MSR of the KVM guest changed";
	return ioctl(machine->vcpu, KVM_GET_MSRS, &msrs) != NR_MSRS ||
	       memcmp(msrs.entries, msr_values, sizeof(msr_values));
}

int small_kvm_run(unsigned nr_exits, const char **why)
{
	struct machine machine;
	uint32_t random = SMALL_KVM_SEED, sum = 0;
	struct kvm_regs regs;

	*why = "KVM cannot make a guest";
	if (create(&machine) || set_state(&machine))
		return -1;
	while (nr_exits--) {
		*why = "KVM_RUN failed";
		if (ioctl(machine.vcpu, KVM_RUN, 0) || machine.run->exit_reason != KVM_EXIT_IO)
			return -1;
		*why = "a register of the KVM guest is wrong";
		if (expect(&random, &sum) !=
		    *(uint32_t *)((char *)machine.run + machine.run->io.data_offset))
			return -1;
		*why = "SSE state of the KVM guest is wrong";
		if (ioctl(machine.vcpu, KVM_GET_REGS, &regs) || (uint32_t)regs.rdx != sum)
			return -1;
		*why = "memory of the KVM guest is wrong";
		if (((uint32_t *)(machine.memory + DATA))[1] !=
		    random - (uint32_t)msr_values[NR_MSRS - 1].data)
			return -1;
	}
	if (compare_msrs(&machine, why))
		return -1;
	close(machine.vcpu);
	close(machine.vm);
	close(machine.kvm);
	return 0;
}
