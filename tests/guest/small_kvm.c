// SPDX-License-Identifier: GPL-2.0-only
/* A KVM guest whose results are known beforehand; see small_kvm.h. */
#define _GNU_SOURCE
#include "small_kvm.h"
#include "small_kvm_guest.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { MEMORY_BYTES = 0x8000, CODE = 0x1000, DATA = 0x4000 }; /* below DATA: the stack */
enum { PML4 = 0x5000, PDPT = 0x6000, PAGE_DIRECTORY = 0x7000 };
enum { PRESENT_WRITABLE = 3, LARGE = 1 << 7 };
enum { CR0_PE = 1 << 0, CR4_PAE = 1 << 5, CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10 };
#define CR0_PG (1U << 31)
enum { EFER_SCE = 1 << 0, EFER_LME = 1 << 8, EFER_LMA = 1 << 10 };
enum { CODE_SELECTOR = 8, GS_BASE = 0x1badb002 };

/* MSRs that Dune's guest, or Linux, has values of its own for. */
enum { NR_MSRS = 4 };
static void get_msr_values(struct kvm_msr_entry values[NR_MSRS])
{
	memset(values, 0, NR_MSRS * sizeof(values[0]));
	values[0].index = 0xc0000081; /* STAR */
	values[0].data = (uint64_t)CODE_SELECTOR << 32;
	values[1].index = 0xc0000082; /* LSTAR */
	values[1].data = CODE + (small_kvm_syscall - small_kvm_code);
	values[2].index = 0xc0000084; /* FMASK */
	values[2].data = 0x400;
	values[3].index = 0xc0000102; /* KERNEL_GS_BASE */
	values[3].data = GS_BASE;
}

struct msrs {
	struct kvm_msrs head;
	struct kvm_msr_entry entries[NR_MSRS];
};

struct small_kvm {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	int run_bytes;
	char *memory;
	uint32_t random, sum; /* what the guest's last round came to */
};

static int open_all(struct small_kvm *guest)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY_BYTES };

	guest->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	guest->vm = ioctl(guest->kvm, KVM_CREATE_VM, 0);
	guest->vcpu = ioctl(guest->vm, KVM_CREATE_VCPU, 0);
	guest->run_bytes = ioctl(guest->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	guest->run =
		mmap(NULL, guest->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, guest->vcpu, 0);
	guest->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guest->vcpu < 0 || guest->run == MAP_FAILED || guest->memory == MAP_FAILED)
		return -1;
	memcpy(guest->memory + CODE, small_kvm_code, small_kvm_code_end - small_kvm_code);
	*(uint64_t *)(guest->memory + PML4) = PDPT | PRESENT_WRITABLE;
	*(uint64_t *)(guest->memory + PDPT) = PAGE_DIRECTORY | PRESENT_WRITABLE;
	*(uint64_t *)(guest->memory + PAGE_DIRECTORY) = LARGE | PRESENT_WRITABLE;
	region.userspace_addr = (uintptr_t)guest->memory;
	return ioctl(guest->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

/* The guest is as capable as its host: KVM lets it have what it says that it has. */
static int set_cpuid(struct small_kvm *guest)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid = { .head.nent = 256 };

	return ioctl(guest->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) ||
	       ioctl(guest->vcpu, KVM_SET_CPUID2, &cpuid);
}

/* 64-bit mode, in which alone KVM puts the first three MSRs into the CPU. */
static int set_state(struct small_kvm *guest)
{
	const struct kvm_segment flat = { .limit = 0xffffffff,
					  .selector = CODE_SELECTOR + 8,
					  .type = 3,
					  .present = 1,
					  .db = 1,
					  .s = 1,
					  .g = 1 };
	struct kvm_regs regs = { .rip = CODE, .rdi = DATA, .rsp = DATA, .rflags = 2 };
	struct msrs msrs = { .head.nmsrs = NR_MSRS };
	struct kvm_sregs sregs;

	if (ioctl(guest->vcpu, KVM_GET_SREGS, &sregs))
		return -1;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.cs = flat;
	sregs.cs.selector = CODE_SELECTOR;
	sregs.cs.type = 11;
	sregs.cs.db = 0;
	sregs.cs.l = 1;
	sregs.cr0 |= CR0_PE | CR0_PG;
	sregs.cr3 = PML4;
	sregs.cr4 |= CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	sregs.efer = EFER_SCE | EFER_LME | EFER_LMA;
	get_msr_values(msrs.entries);
	return set_cpuid(guest) || ioctl(guest->vcpu, KVM_SET_SREGS, &sregs) ||
	       ioctl(guest->vcpu, KVM_SET_REGS, &regs) ||
	       ioctl(guest->vcpu, KVM_SET_MSRS, &msrs) != NR_MSRS;
}

/* What the registers that show MSRs add in a round. */
enum { SHOWN = CODE_SELECTOR * SMALL_KVM_STEPS + GS_BASE };

/* What the guest's next round must come to. */
static uint32_t expect(struct small_kvm *guest)
{
	for (int i = 0; i < SMALL_KVM_STEPS; i++) {
		guest->random = guest->random * 1664525 + 1013904223;
		guest->sum += guest->random;
	}
	guest->random += SHOWN;
	return guest->random;
}

static int compare_msrs(struct small_kvm *guest, const char **why)
{
	struct msrs msrs = { .head.nmsrs = NR_MSRS };
	struct kvm_msr_entry values[NR_MSRS];

	get_msr_values(values);
	memcpy(msrs.entries, values, sizeof(values));
	for (int i = 0; i < NR_MSRS; i++)
		msrs.entries[i].data = 0;
	*why = "an MSR of the KVM guest changed";
	return ioctl(guest->vcpu, KVM_GET_MSRS, &msrs) != NR_MSRS ||
	       memcmp(msrs.entries, values, sizeof(values));
}

struct small_kvm *small_kvm_create(const char **why)
{
	struct small_kvm *guest = calloc(1, sizeof(*guest));

	*why = "KVM cannot make a guest";
	if (!guest)
		return NULL;
	guest->random = SMALL_KVM_SEED;
	if (open_all(guest) || set_state(guest)) {
		free(guest); /* the test ends */
		return NULL;
	}
	return guest;
}

int small_kvm_continue(struct small_kvm *guest, unsigned nr_exits, const char **why)
{
	struct kvm_regs regs;

	while (nr_exits--) {
		*why = "KVM_RUN failed";
		if (ioctl(guest->vcpu, KVM_RUN, 0) || guest->run->exit_reason != KVM_EXIT_IO)
			return -1;
		*why = "a register of the KVM guest is wrong";
		if (expect(guest) != *(uint32_t *)((char *)guest->run + guest->run->io.data_offset))
			return -1;
		*why = "SSE state of the KVM guest is wrong";
		if (ioctl(guest->vcpu, KVM_GET_REGS, &regs) || (uint32_t)regs.rdx != guest->sum)
			return -1;
		*why = "memory of the KVM guest is wrong";
		if (((uint32_t *)(guest->memory + DATA))[1] != guest->random - SHOWN)
			return -1;
	}
	return compare_msrs(guest, why);
}

void small_kvm_destroy(struct small_kvm *guest)
{
	munmap(guest->run, guest->run_bytes);
	munmap(guest->memory, MEMORY_BYTES);
	close(guest->vcpu);
	close(guest->vm);
	close(guest->kvm);
	free(guest);
}

int small_kvm_run(unsigned nr_exits, const char **why)
{
	struct small_kvm *guest = small_kvm_create(why);

	if (!guest || small_kvm_continue(guest, nr_exits, why))
		return -1;
	small_kvm_destroy(guest);
	return 0;
}
