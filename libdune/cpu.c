// SPDX-License-Identifier: MIT
/*
 * Makes what a thread needs inside: its area (cpu.h draws it), its vcpu and run
 * page with the GDT in it, and the system registers that the guest starts with.
 * Called in host context by dune_enter() and for each new thread (thread.c).
 */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <asm/processor-flags.h>
#include "dune.h"
#include "context.h"
#include "cpu.h"
#include "guest_signal.h"
#include "hypercall.h"
#include "tile.h"
#include "trap.h"

_Static_assert(offsetof(struct cpu, scratch) == CPU_SCRATCH, "");
_Static_assert(offsetof(struct cpu, ring3) == CPU_RING3, "");
_Static_assert(offsetof(struct cpu, fs_ring0) == CPU_FS_RING0, "");
_Static_assert(offsetof(struct cpu, fs_ring3) == CPU_FS_RING3, "");
_Static_assert(offsetof(struct cpu, enter_rsp) == CPU_ENTER_RSP, "");
_Static_assert(offsetof(struct cpu, run) == CPU_RUN, "");
_Static_assert(offsetof(struct cpu, vcpu_fd) == CPU_VCPU_FD, "");
_Static_assert(offsetof(struct cpu, signal_state) == CPU_SIGNAL, "");
_Static_assert(offsetof(struct cpu, tss) == CPU_TSS, "");
_Static_assert(CPU_TSS + offsetof(struct tss, ist) == CPU_IST1, "");
_Static_assert(CPU_IST1 % 8 == 0, "the trap path writes it: keep it in one cache line");
_Static_assert(sizeof(struct tss) == 104, "");
_Static_assert(sizeof(struct cpu) <= CPU_IST1_BOTTOM / 2, "");

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

static struct gate idt[DUNE_NR_VECTORS] __attribute__((aligned(4096)));

bool dune_cpu_has_smap;

/* #DB and #DF have stacks of their own. */
static uint8_t ist_of(unsigned vector)
{
	if (vector == 1)
		return 2;
	return vector == 8 ? 3 : 1;
}

/* Ring 3 may raise #BP and #OF itself. */
void dune_cpu_init_idt(void)
{
	dune_cpu_has_smap = dune.caps.cr4_allowed & X86_CR4_SMAP;
	for (unsigned vector = 0; vector < DUNE_NR_VECTORS; vector++) {
		uint64_t entry = (uint64_t)dune_trap_stubs + vector * TRAP_STUB_BYTES;
		unsigned dpl = vector == 3 || vector == 4 ? 3 : 0;

		idt[vector] = (struct gate){
			.offset_low = entry,
			.selector = DUNE_SEL_CODE0,
			.ist = ist_of(vector),
			.type = 0x8e | dpl << 5,
			.offset_middle = entry >> 16,
			.offset_high = entry >> 32,
		};
	}
}

static void init_gdt(struct cpu *cpu)
{
	uint64_t *gdt = (uint64_t *)cpu->run->gdt;
	uint64_t tss = (uint64_t)&cpu->tss;

	gdt[DUNE_SEL_CODE0 / 8] = 0x00af9b000000ffff;
	gdt[DUNE_SEL_DATA0 / 8] = 0x00cf93000000ffff;
	gdt[DUNE_SEL_DATA3 / 8] = 0x00cff3000000ffff;
	gdt[DUNE_SEL_CODE3 / 8] = 0x00affb000000ffff;
	gdt[DUNE_SEL_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x8bull << 40 |
				(tss >> 24 & 0xff) << 56;
	gdt[DUNE_SEL_TSS / 8 + 1] = tss >> 32;
}

void dune_cpu_system_state(const struct cpu *cpu, struct dune_state *state)
{
	uint64_t cr4 = X86_CR4_PAE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_FSGSBASE |
		       X86_CR4_OSXSAVE | X86_CR4_SMEP;
	uint64_t optional = X86_CR4_SMAP | X86_CR4_PGE | X86_CR4_UMIP | X86_CR4_PKE;

	state->cr0 = X86_CR0_PG | X86_CR0_PE | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET | X86_CR0_MP;
	state->cr0 |= X86_CR0_AM & dune.caps.cr0_allowed;
	state->cr3 = dune_pgtable_root();
	state->cr4 = cr4 | (optional & dune.caps.cr4_allowed);
	state->lstar = (uint64_t)dune_trap_lstar;
	state->gdt_base = (uint64_t)cpu->run->gdt;
	state->gdt_limit = DUNE_GDT_ENTRIES * 8 - 1;
	state->idt_base = (uint64_t)idt;
	state->idt_limit = sizeof(idt) - 1;
	state->tss_base = (uint64_t)&cpu->tss;
	state->tss_limit = sizeof(struct tss) - 1;
}

/* An area aligned to its size, with a guard page below each stack. */
static struct cpu *area_create(void)
{
	static const uint32_t guards[] = { 0x1000, CPU_IST1_TOP, CPU_IST2_TOP, CPU_IST3_TOP };
	long start = RAW(SYS_mmap, 0, 2 * CPU_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t area;

	if (start < 0 && start > -4096)
		return NULL;
	area = (start + CPU_BYTES - 1) & -(uint64_t)CPU_BYTES;
	if (area > (uint64_t)start)
		RAW(SYS_munmap, start, area - start);
	RAW(SYS_munmap, area + CPU_BYTES, start + CPU_BYTES - area);
	for (unsigned i = 0; i < sizeof(guards) / sizeof(guards[0]); i++)
		RAW(SYS_mprotect, area + guards[i], 4096, PROT_NONE);
	return (struct cpu *)area;
}

/* The guest finds its GDT in the run page. */
int dune_cpu_attach(struct cpu *cpu)
{
	int fd = dune_backend_create_vcpu(cpu->run, &cpu->run);
	int error;

	if (fd < 0)
		return fd;
	error = dune_tile_pin(cpu->run, DUNE_RUN_SIZE);
	if (error) {
		RAW(SYS_munmap, cpu->run, DUNE_RUN_SIZE);
		RAW(SYS_close, fd);
		return error;
	}
	cpu->vcpu_fd = fd;
	init_gdt(cpu);
	return 0;
}

/*
 * While one thread is inside, signal handlers are run by signal.c. The lock makes the first to
 * come and the last to go wait for each other: else the one could find the handlers taken
 * over, and the other give them back after it.
 */
static void link_cpu(struct cpu *cpu)
{
	dune_lock(&dune.lock);
	if (!dune.cpus)
		dune_signal_take_over();
	cpu->next = dune.cpus;
	dune.cpus = cpu;
	dune_unlock(&dune.lock);
}

static void unlink_cpu(struct cpu *cpu)
{
	struct cpu **link;

	dune_lock(&dune.lock);
	for (link = &dune.cpus; *link && *link != cpu; link = &(*link)->next)
		;
	if (*link)
		*link = cpu->next;
	if (!dune.cpus)
		dune_signal_give_back();
	dune_unlock(&dune.lock);
}

int dune_cpu_create(struct cpu **result)
{
	static uint32_t generation;
	struct cpu *cpu = area_create();
	int error;

	if (!cpu)
		return -ENOMEM;
	cpu->self = cpu;
	cpu->generation = __atomic_add_fetch(&generation, 1, __ATOMIC_RELAXED);
	cpu->tss.rsp[0] = cpu->tss.ist[0] = (uint64_t)cpu + CPU_IST1_TOP;
	cpu->tss.ist[1] = (uint64_t)cpu + CPU_IST2_TOP;
	cpu->tss.ist[2] = (uint64_t)cpu + CPU_IST3_TOP;
	cpu->tss.io_map = sizeof(struct tss);
	error = dune_tile_pin(cpu, CPU_BYTES) ?: dune_cpu_attach(cpu);
	if (error) {
		RAW(SYS_munmap, cpu, CPU_BYTES);
		return error;
	}
	link_cpu(cpu);
	*result = cpu;
	return 0;
}

void dune_cpu_retire(struct cpu *cpu)
{
	unlink_cpu(cpu);
	RAW(SYS_munmap, cpu->run, DUNE_RUN_SIZE);
	RAW(SYS_close, cpu->vcpu_fd);
}

void dune_cpu_destroy(struct cpu *cpu)
{
	dune_cpu_retire(cpu);
	RAW(SYS_munmap, cpu, CPU_BYTES);
}
