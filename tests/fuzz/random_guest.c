// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random code, half of it plain bytes, half instructions that concern the
 * module; see random_guest.h. Most of it ends in a triple fault after a few
 * instructions, for lack of handlers or of luck; that is what is wanted.
 */
#include "random_guest.h"

#include <string.h>

enum { CODE_BYTES = 192 };
enum { PTE_TABLE = 7, PTE_LARGE = 7 | 0x80 };
enum { GATE_TRAP = 0xf, GATES = 32 };
enum { RFLAGS_FIXED = 1 << 1, RFLAGS_TF = 1 << 8, RFLAGS_IF = 1 << 9 };

/* ---- Code ------------------------------------------------------------------- */

struct bytes {
	const char *bytes;
	size_t length;
};
#define BYTES(literal)                       \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

/* What exits, what loads state that the host has too, what faults in odd ways. */
static const struct bytes instructions[] = {
	BYTES("\x0f\xa2"),		       /* cpuid */
	BYTES("\x0f\x01\xc1"),		       /* vmcall */
	BYTES("\x0f\x01\xc2"),		       /* vmlaunch */
	BYTES("\x0f\x01\xc4"),		       /* vmxoff */
	BYTES("\x0f\x78\xc0"),		       /* vmread */
	BYTES("\x66\x0f\x38\x80\x04\x24"),     /* invept */
	BYTES("\x0f\x32"),		       /* rdmsr */
	BYTES("\x0f\x30"),		       /* wrmsr */
	BYTES("\xb9\x82\x00\x00\xc0\x0f\x32"), /* rdmsr LSTAR */
	BYTES("\xb9\x00\x01\x00\xc0\x0f\x30"), /* wrmsr FS_BASE */
	BYTES("\xb9\x01\x01\x00\xc0\x0f\x30"), /* wrmsr GS_BASE */
	BYTES("\xb9\x02\x01\x00\xc0\x0f\x30"), /* wrmsr KERNEL_GS_BASE */
	BYTES("\x0f\x01\xf8"),		       /* swapgs */
	BYTES("\xf3\x48\x0f\xae\xd0"),	       /* wrfsbase rax */
	BYTES("\xf3\x48\x0f\xae\xd8"),	       /* wrgsbase rax */
	BYTES("\x0f\x20\xc0"),		       /* mov rax, cr0 */
	BYTES("\x0f\x22\xc0"),		       /* mov cr0, rax */
	BYTES("\x0f\x22\xd0"),		       /* mov cr2, rax */
	BYTES("\x0f\x20\xd8"),		       /* mov rax, cr3 */
	BYTES("\x0f\x22\xd8"),		       /* mov cr3, rax */
	BYTES("\x0f\x20\xe0"),		       /* mov rax, cr4 */
	BYTES("\x0f\x22\xe0"),		       /* mov cr4, rax */
	BYTES("\x44\x0f\x22\xc0"),	       /* mov cr8, rax */
	BYTES("\x0f\x23\xc0"),		       /* mov dr0, rax */
	BYTES("\x0f\x23\xf0"),		       /* mov dr6, rax */
	BYTES("\x0f\x23\xf8"),		       /* mov dr7, rax */
	BYTES("\x0f\x21\xf8"),		       /* mov rax, dr7 */
	BYTES("\x0f\x06"),		       /* clts */
	BYTES("\x0f\x01\xd1"),		       /* xsetbv */
	BYTES("\x0f\x01\xd0"),		       /* xgetbv */
	BYTES("\x0f\xae\x24\x24"),	       /* xsave [rsp] */
	BYTES("\x0f\xae\x2c\x24"),	       /* xrstor [rsp] */
	BYTES("\x0f\xae\x14\x24"),	       /* ldmxcsr [rsp] */
	BYTES("\xd9\x2c\x24"),		       /* fldcw [rsp] */
	BYTES("\xd9\xe8\xd9\xee\xde\xf9\x9b"), /* 1 / 0, fwait */
	BYTES("\x0f\x77"),		       /* emms */
	BYTES("\x0f\x01\x14\x24"),	       /* lgdt [rsp] */
	BYTES("\x0f\x01\x1c\x24"),	       /* lidt [rsp] */
	BYTES("\x0f\x00\xd0"),		       /* lldt ax */
	BYTES("\x0f\x00\xd8"),		       /* ltr ax */
	BYTES("\x8e\xd8"),		       /* mov ds, ax */
	BYTES("\x8e\xe0"),		       /* mov fs, ax */
	BYTES("\x8e\xe8"),		       /* mov gs, ax */
	BYTES("\x8e\xd0"),		       /* mov ss, ax */
	BYTES("\x0f\x01\x38"),		       /* invlpg [rax] */
	BYTES("\x66\x0f\x38\x82\x0c\x24"),     /* invpcid rcx, [rsp] */
	BYTES("\x0f\x08"),		       /* invd */
	BYTES("\x0f\x09"),		       /* wbinvd */
	BYTES("\x0f\x33"),		       /* rdpmc */
	BYTES("\x0f\x31"),		       /* rdtsc */
	BYTES("\x0f\x01\xf9"),		       /* rdtscp */
	BYTES("\x0f\x01\xc8"),		       /* monitor */
	BYTES("\x0f\x01\xc9"),		       /* mwait */
	BYTES("\xf4"),			       /* hlt */
	BYTES("\xfb"),			       /* sti */
	BYTES("\xee"),			       /* out dx, al */
	BYTES("\x6e"),			       /* outsb */
	BYTES("\xf1"),			       /* icebp */
	BYTES("\xcc"),			       /* int3 */
	BYTES("\xcd\x80"),		       /* int 0x80 */
	BYTES("\x0f\x0b"),		       /* ud2 */
	BYTES("\x9c"),			       /* pushf */
	BYTES("\xff\xe0"),		       /* jmp rax */
	BYTES("\xf3\xa4"),		       /* rep movsb */
	BYTES("\xf3\xaa"),		       /* rep stosb */
	BYTES("\x8a\x00"),		       /* mov al, [rax] */
	BYTES("\x88\x00"),		       /* mov [rax], al */
	BYTES("\x65\x8a\x00"),		       /* mov al, gs:[rax] */
	BYTES("\x64\x88\x00"),		       /* mov fs:[rax], al */
	BYTES("\xf0\x0f\xb1\x08"),	       /* lock cmpxchg [rax], ecx */
	BYTES("\x0f\xc7\xf0"),		       /* rdrand eax */
	BYTES("\x0f\x01\xca"),		       /* clac */
	BYTES("\x0f\x01\xcb"),		       /* stac */
	BYTES("\xeb\xfe"),		       /* jmp . */
	BYTES("\xcb"),			       /* retf */
	BYTES("\x0f\x07"),		       /* sysret */
	BYTES("\x48\xcf"),		       /* iretq */
	BYTES("\xfa"),			       /* cli */
	BYTES("\x9d"),			       /* popf */
};

/* Where an instruction may get a number from that means something. */
static uint64_t guest_value(struct random *random, const struct guest_memory *memory)
{
	switch (random_below(random, 4)) {
	case 0:
		return random_below(random, GUEST_BYTES);
	case 1:
		return memory->gpa + random_below(random, GUEST_BYTES);
	case 2:
		return 0xc0000080 + random_below(random, 5); /* MSRs */
	default:
		return random_value(random);
	}
}

static size_t emit(struct random *random, const struct guest_memory *memory, unsigned char *to)
{
	const struct bytes *instruction;
	uint64_t value;

	switch (random_below(random, 8)) {
	case 0:
		value = guest_value(random, memory);
		to[0] = 0x48;
		to[1] = 0xb8 + random_below(random, 8); /* mov r, imm64 */
		memcpy(to + 2, &value, 8);
		return 10;
	case 1:
	case 2:
	case 3:
		random_fill(random, to, 16);
		return 1 + random_below(random, 16);
	default:
		instruction = &instructions[random_below(random, sizeof(instructions) /
									 sizeof(instructions[0]))];
		memcpy(to, instruction->bytes, instruction->length);
		return instruction->length;
	}
}

/* No instruction that clears IF, whichever byte the guest begins to read at. */
static void keep_interrupts_on(unsigned char *code, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (code[i] == 0xfa || code[i] == 0x9d || code[i] == 0xcf)
			code[i] = 0x90; /* cli, popf, iret */
		if (i && code[i - 1] == 0x0f &&
		    (code[i] == 0x05 || code[i] == 0x07 || code[i] == 0x34))
			code[i] = 0x0b; /* syscall, sysret, sysenter */
	}
}

static void write_code(struct random *random, const struct guest_memory *memory, bool any_code)
{
	unsigned char *code = (unsigned char *)memory->host + GUEST_CODE;
	size_t at = 0;

	while (at < CODE_BYTES)
		at += emit(random, memory, code + at);
	if (!any_code)
		keep_interrupts_on(code, at);
	/* The handler that LSTAR names does nothing else than exit. */
	if (random_one_in(random, 16))
		memcpy(code, "\x0f\x05", 2);
	memcpy(code + at, "\x0f\x01\xc1\xf4\xeb\xfa", 6); /* vmcall; hlt; again */
	random_fill(random, memory->host + GUEST_STACK, 64);
	if (!any_code)
		keep_interrupts_on((unsigned char *)memory->host + GUEST_STACK, 64);
}

/* ---- Tables ------------------------------------------------------------------ */

static void write_page_tables(const struct guest_memory *memory)
{
	uint64_t *table = (uint64_t *)(memory->host + GUEST_PML4);

	table[0] = (memory->gpa + GUEST_PDPT) | PTE_TABLE;
	table[511] = (memory->gpa + GUEST_PML4) | PTE_TABLE; /* itself */
	table = (uint64_t *)(memory->host + GUEST_PDPT);
	table[0] = (memory->gpa + GUEST_PD) | PTE_TABLE;
	for (uint64_t i = 1; i < 4; i++)
		table[i] = i << 30 | PTE_LARGE;
	table = (uint64_t *)(memory->host + GUEST_PD);
	for (uint64_t i = 0; i < 512; i++)
		table[i] = memory->gpa | i << 21 | PTE_LARGE;
}

static void write_descriptors(const struct guest_memory *memory)
{
	uint64_t *gate = (uint64_t *)(memory->host + GUEST_IDT);
	uint64_t *gdt = (uint64_t *)(memory->host + GUEST_GDT);
	char *handler = memory->host + GUEST_HANDLER;
	uint64_t stack = GUEST_STACK + 0x800;

	for (unsigned i = 0; i < GATES; i++) {
		gate[2 * i] = GUEST_HANDLER | (uint64_t)DUNE_SEL_CODE0 << 16 |
			      (uint64_t)(0x80 | 0x60 | GATE_TRAP) << 40;
		gate[2 * i + 1] = 0;
	}
	gdt[DUNE_SEL_CODE0 >> 3] = 0x00af9b000000ffff;
	gdt[DUNE_SEL_DATA0 >> 3] = 0x00cf93000000ffff;
	gdt[DUNE_SEL_DATA3 >> 3] = 0x00cff3000000ffff;
	gdt[DUNE_SEL_CODE3 >> 3] = 0x00affb000000ffff;
	memset(memory->host + GUEST_TSS, 0, 0x68);
	memcpy(memory->host + GUEST_TSS + 4, &stack, 8);
	memcpy(handler, "\x0f\x01\xc1\xeb\xfb", 5); /* vmcall; again */
}

/* Flips a bit of one of the tables. */
static void damage_tables(struct random *random, const struct guest_memory *memory)
{
	static const unsigned starts[] = { GUEST_PML4, GUEST_PDPT, GUEST_PD,
					   GUEST_IDT,  GUEST_GDT,  GUEST_TSS };
	unsigned start = starts[random_below(random, 6)];

	memory->host[start + random_below(random, 64)] ^= 1 << random_below(random, 8);
}

void random_guest_write(struct random *random, const struct guest_memory *memory,
			const struct guest_limits *limits)
{
	write_page_tables(memory);
	write_descriptors(memory);
	write_code(random, memory, limits->any_code);
	if (random_one_in(random, 8))
		damage_tables(random, memory);
}

/* ---- State ------------------------------------------------------------------- */

static uint64_t canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16);
}

static bool is_canonical(uint64_t address)
{
	return canonical(address) == address;
}

static uint64_t random_rflags(struct random *random, bool any_code)
{
	uint64_t flags = RFLAGS_FIXED | RFLAGS_IF;

	if (random_one_in(random, 4))
		flags |= random_bits(random) & 0x253cd5; /* arithmetic, IOPL, RF, AC, ID, DF */
	if (random_one_in(random, 8))
		flags |= RFLAGS_TF;
	if (any_code && random_one_in(random, 4))
		flags &= ~(uint64_t)RFLAGS_IF;
	return flags;
}

static void random_system(struct random *random, struct dune_state *state,
			  const struct dune_caps *caps)
{
	if (random_one_in(random, 3))
		state->cr0 ^= random_bits(random) & caps->cr0_allowed;
	if (random_one_in(random, 3))
		state->cr4 ^= random_bits(random) & caps->cr4_allowed;
	if (random_one_in(random, 16))
		state->cr3 = random_bits(random) & 0xfffffffff;
	if (random_one_in(random, 16))
		state->idt_base = canonical(random_value(random));
	if (random_one_in(random, 4))
		state->idt_limit = random_below(random, 0x1000);
	if (random_one_in(random, 16))
		state->gdt_base = canonical(random_value(random));
	if (random_one_in(random, 16))
		state->gdt_limit = random_below(random, 0x10000);
	if (random_one_in(random, 16))
		state->tss_base = canonical(random_value(random));
	if (random_one_in(random, 16))
		state->tss_limit = 0x67 + random_below(random, 0x10000 - 0x67);
	state->cr2 = random_value(random);
}

struct dune_state random_guest_state(struct random *random, const struct guest_memory *memory,
				     const struct guest_limits *limits)
{
	bool ring3 = random_one_in(random, 3);
	struct dune_state state = {
		.groups = DUNE_STATE_ALL,
		.rip = GUEST_CODE,
		.rflags = random_rflags(random, limits->any_code),
		.cs = ring3 ? DUNE_SEL_CODE3 : DUNE_SEL_CODE0,
		.ss = ring3 ? DUNE_SEL_DATA3 : DUNE_SEL_DATA0,
		.fs_base = canonical(random_value(random)),
		.gs_base = canonical(random_value(random)),
		.kernel_gs_base = canonical(random_value(random)),
		.cr0 = 0x80000033, /* PG NE ET MP PE */
		.cr3 = memory->gpa + GUEST_PML4,
		.cr4 = limits->caps.cr4_allowed & 0x10620, /* FSGSBASE OSXMMEXCPT OSFXSR PAE */
		.lstar = GUEST_HANDLER,
		.gdt_base = GUEST_GDT,
		.gdt_limit = 8 * DUNE_GDT_ENTRIES - 1,
		.idt_base = GUEST_IDT,
		.idt_limit = 16 * GATES - 1,
		.tss_base = GUEST_TSS,
		.tss_limit = 0x67,
	};

	for (unsigned i = 0; i < DUNE_NR_GPRS; i++)
		state.gpr[i] = guest_value(random, memory);
	if (!random_one_in(random, 8))
		state.gpr[DUNE_RSP] = GUEST_STACK + 8 * random_below(random, 0x200);
	if (random_one_in(random, 16))
		state.rip = canonical(guest_value(random, memory));
	random_system(random, &state, &limits->caps);
	return state;
}

/* What must be refused, by field; a value that happens to be fine is none. */
bool random_guest_damage(struct random *random, struct dune_state *state,
			 const struct guest_limits *limits)
{
	uint64_t value = random_value(random);
	__u64 *const addresses[] = { &state->rip,      &state->fs_base,	      &state->gs_base,
				     &state->lstar,    &state->gdt_base,      &state->idt_base,
				     &state->tss_base, &state->kernel_gs_base };
	__u64 *address = addresses[random_below(random, 8)];

	switch (random_below(random, 8)) {
	case 0:
	case 1:
		*address = value;
		return !is_canonical(value);
	case 2:
		/* NT, VM, VIF, VIP, 3, 5, 15 and all above ID */
		state->rflags |= value & 0xffffffffffdac028;
		return value & 0xffffffffffdac028;
	case 3:
		state->rflags &= ~(uint64_t)RFLAGS_FIXED;
		return true;
	case 4:
		state->cs = value;
		return !(state->cs == DUNE_SEL_CODE0 && state->ss == DUNE_SEL_DATA0) &&
		       !(state->cs == DUNE_SEL_CODE3 && state->ss == DUNE_SEL_DATA3);
	case 5:
		value |= 1ull << 13; /* VMXE */
		state->cr4 |= value & ~limits->caps.cr4_allowed & ~(1ull << 5);
		/* The kernel takes VMXE, which is there anyway. */
		return state->cr4 & ~limits->caps.cr4_allowed & ~(1ull << 13) & ~(1ull << 5);
	case 6:
		state->reserved[random_below(random, sizeof(state->reserved) / 8)] = value;
		return value;
	default:
		state->gdt_limit = 0x10000 | value;
		return true;
	}
}
