// SPDX-License-Identifier: GPL-2.0-only
/* The device without libdune; see raw.h. */
#define _GNU_SOURCE
#include "raw.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { TILE_BYTES = 1 << DUNE_TILE_SHIFT };
enum { PTE_TABLE = 7, PTE_2M = 7 | 0x80 };

static void hold_kvm(int device)
{
	struct dune_hold_kvm hold = { .flags = DUNE_HOLD_SHARED };
	int kvm;

	if (!ioctl(device, DUNE_HOLD_KVM, &hold))
		return;
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return;
	hold.flags = 0;
	/* One that is stopped meanwhile is told so. */
	do
		hold.kvm_vm_fd = ioctl(kvm, KVM_CREATE_VM, 0);
	while (hold.kvm_vm_fd < 0 && errno == EINTR);
	CHECK_OK(hold.kvm_vm_fd);
	CHECK_OK(ioctl(device, DUNE_HOLD_KVM, &hold));
	close(hold.kvm_vm_fd); /* the hold has it */
	close(kvm);
}

void raw_open(struct raw *raw)
{
	memset(raw, 0, sizeof(*raw));
	raw->vcpu = -1;
	raw->device = CHECK_OK(open("/dev/dune", O_RDWR | O_CLOEXEC));
	hold_kvm(raw->device);
}

void raw_map_memory(struct raw *raw)
{
	uintptr_t start = (uintptr_t)mmap(NULL, 2ul * TILE_BYTES, PROT_NONE,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t *table;

	CHECK(start != (uintptr_t)MAP_FAILED);
	raw->memory = (char *)((start + TILE_BYTES - 1) & -(uintptr_t)TILE_BYTES);
	CHECK_OK(mprotect(raw->memory, RAW_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC));
	*(uint64_t *)(raw->memory + RAW_PML4) = RAW_PDPT | PTE_TABLE;
	*(uint64_t *)(raw->memory + RAW_PDPT) = RAW_PD | PTE_TABLE;
	table = (uint64_t *)(raw->memory + RAW_PD);
	for (uint64_t i = 0; i < 512; i++)
		table[i] = i << 21 | PTE_2M;
	table = (uint64_t *)(raw->memory + RAW_GDT);
	table[DUNE_SEL_CODE0 >> 3] = 0x00af9b000000ffff;
	table[DUNE_SEL_DATA0 >> 3] = 0x00cf93000000ffff;
	table[DUNE_SEL_DATA3 >> 3] = 0x00cff3000000ffff;
	table[DUNE_SEL_CODE3 >> 3] = 0x00affb000000ffff;
}

struct dune_state raw_state(const struct raw *raw)
{
	struct dune_caps caps;

	CHECK_OK(ioctl(raw->device, DUNE_GET_CAPS, &caps));
	return (struct dune_state){
		.groups = DUNE_STATE_ALL,
		.gpr[DUNE_RSP] = RAW_STACK,
		.rip = RAW_CODE,
		.rflags = 0x202,
		.cs = DUNE_SEL_CODE0,
		.ss = DUNE_SEL_DATA0,
		.cr0 = 0x80000033, /* PG NE ET MP PE */
		.cr3 = RAW_PML4,
		.cr4 = caps.cr4_allowed & 0x620, /* OSXMMEXCPT OSFXSR PAE */
		.gdt_base = RAW_GDT,
		.gdt_limit = 8 * DUNE_GDT_ENTRIES - 1,
		.idt_base = RAW_IDT,
		.tss_base = RAW_TSS,
		.tss_limit = 0x67,
	};
}

void raw_set_state(int vcpu, const struct dune_state *state)
{
	CHECK_OK(ioctl(vcpu, DUNE_SET_STATE, state));
}

int raw_create_vcpu(struct raw *raw, struct dune_run **run)
{
	int vcpu = CHECK_OK(ioctl(raw->device, DUNE_CREATE_VCPU, 0));

	*run = mmap(NULL, DUNE_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	CHECK(*run != MAP_FAILED);
	return vcpu;
}

void raw_create(struct raw *raw)
{
	raw_open(raw);
	raw_create_upon(raw);
}

void raw_create_upon(struct raw *raw)
{
	struct dune_tile tile = { 0 };
	struct dune_state state;

	raw_map_memory(raw);
	tile.hva = (uintptr_t)raw->memory;
	CHECK_OK(ioctl(raw->device, DUNE_SET_TILE, &tile));
	raw->vcpu = raw_create_vcpu(raw, &raw->run);
	state = raw_state(raw);
	raw_set_state(raw->vcpu, &state);
}

void raw_load(struct raw *raw, const char *code, uint64_t rdi, uint64_t rsi)
{
	struct dune_state state = raw_state(raw);

	memcpy(raw->memory + RAW_CODE, code, raw_code_end - code);
	state.gpr[DUNE_RDI] = rdi;
	state.gpr[DUNE_RSI] = rsi;
	raw_set_state(raw->vcpu, &state);
}

long raw_run_vcpu(int vcpu)
{
	long reason;

	do
		reason = lseek(vcpu, 0, SEEK_SET);
	while (reason == DUNE_EXIT_INTR);
	return reason < 0 ? -errno : reason;
}

long raw_run(struct raw *raw)
{
	return raw_run_vcpu(raw->vcpu);
}

void raw_must_work(void)
{
	struct raw fresh;

	raw_create(&fresh);
	raw_load(&fresh, raw_count, 0, 0);
	CHECK_EQ(raw_run(&fresh), DUNE_EXIT_HYPERCALL);
	close(fresh.vcpu);
	close(fresh.device);
	munmap(fresh.run, DUNE_RUN_SIZE);
}

uint64_t raw_stat(const struct raw *raw, enum dune_stat stat)
{
	struct dune_stats stats;

	CHECK_OK(ioctl(raw->device, DUNE_GET_STATS, &stats));
	return stats.value[stat];
}
