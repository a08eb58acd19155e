// SPDX-License-Identifier: MIT
/*
 * Where trap_entry.S hands over: the table of handlers, what happens without one,
 * and the page faults that are libdune's own business (a tile that is not there
 * yet; a copy from or to ring 3 that failed). A fault in ring 0 that nobody wants
 * goes on in fault.c.
 */
#include <cpuid.h>
#include <errno.h>
#include <stddef.h>
#include "dune.h"
#include "context.h"
#include "cpu.h"
#include "guest_signal.h"
#include "hypercall.h"
#include "tile.h"
#include "trap.h"

#define PUBLIC __attribute__((visibility("default")))

#define ASSERT_OFFSET(field, value) \
	_Static_assert(offsetof(struct dune_frame, field) == (value), "")
ASSERT_OFFSET(r15, 0);
ASSERT_OFFSET(r11, FRAME_R11);
ASSERT_OFFSET(rax, FRAME_RAX);
ASSERT_OFFSET(rcx, FRAME_RCX);
ASSERT_OFFSET(rdi, FRAME_RDI);
ASSERT_OFFSET(fs_base, FRAME_FS_BASE);
ASSERT_OFFSET(vector, FRAME_VECTOR);
ASSERT_OFFSET(error, FRAME_ERROR);
ASSERT_OFFSET(rip, FRAME_RIP);
ASSERT_OFFSET(cs, FRAME_CS);
ASSERT_OFFSET(rflags, FRAME_RFLAGS);
ASSERT_OFFSET(rsp, FRAME_RSP);
ASSERT_OFFSET(ss, FRAME_SS);
_Static_assert(sizeof(struct dune_frame) == FRAME_BYTES, "");
_Static_assert(FRAME_VECTOR_SYSCALL == DUNE_VECTOR_SYSCALL, "");
_Static_assert(offsetof(struct ring3_context, mxcsr) == RING3_MXCSR, "");
_Static_assert(offsetof(struct ring3_context, x87_control) == RING3_X87_CONTROL, "");
_Static_assert(offsetof(struct ring3_context, ist1) == RING3_IST1, "");
_Static_assert(offsetof(struct ring3_context, previous) == RING3_PREVIOUS, "");
_Static_assert(offsetof(struct ring3_context, value) == RING3_VALUE, "");

enum { VECTOR_DB = 1, VECTOR_UD = 6, VECTOR_DF = 8, VECTOR_GP = 13, VECTOR_PF = 14 };

dune_handler dune_trap_table[TRAP_ROWS];
dune_handler dune_trap_fpu_table[TRAP_ROWS];
uint64_t dune_trap_xsave_bytes;
/* What handle_debug() and the like call, if it is not for them. */
static dune_handler debug_handler, invalid_opcode_handler;

static uint64_t read_cr2(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

/* trap_entry.S leaves these below the frame, CR2 of a page fault only. */
struct ring3_context *dune_trap_ring3_of(const struct dune_frame *frame)
{
	return ((struct ring3_context *const *)frame)[-1];
}

/* The CPU only ever sets bits there. */
static uint64_t take_dr6(void)
{
	uint64_t value;

	__asm__ volatile("mov %%dr6, %0\n\tmov %1, %%dr6"
			 : "=&r"(value)
			 : "r"((uint64_t)DR6_CLEAR));
	return value;
}

static uint64_t saved_cr2(const struct dune_frame *frame)
{
	return ((const uint64_t *)frame)[-2];
}

struct dune_frame *dune_trap_frame_of_level(const struct cpu *cpu, uint64_t rsp)
{
	static const struct {
		uint64_t bottom, top;
	} stacks[] = {
		{ CPU_IST1_BOTTOM, CPU_IST1_TOP },
		{ CPU_IST2_BOTTOM, CPU_IST2_TOP },
		{ CPU_IST3_BOTTOM, CPU_IST3_TOP },
	};
	uint64_t offset;

	for (int i = 0; i < 3; i++) {
		offset = rsp - (uint64_t)cpu - stacks[i].bottom;
		if (offset < stacks[i].top - stacks[i].bottom)
			return (void *)(rsp - offset % CPU_IST_LEVEL + CPU_IST_LEVEL - FRAME_BYTES);
	}
	return NULL;
}

/* Or of a system call, which has it below the run that made it. */
static bool is_of_exception(const struct cpu *cpu, const struct dune_frame *frame)
{
	return dune_trap_frame_of_level(cpu, (uint64_t)frame) == frame;
}

/* Where ring 0 touches what ring 3 gave it, and where it goes on after a fault. */
static bool fixup(struct dune_frame *frame)
{
	const char *rip = (const char *)frame->rip;

	if (dune_frame_is_user(frame) || rip != dune_copy_fault)
		return false;
	frame->rip = (uint64_t)dune_copy_fixup;
	return true;
}

/* No handler: ring 3 ends, ring 0 gets the signal that Linux would send. */
static void handle_default(struct dune_frame *frame)
{
	if (dune_frame_is_user(frame))
		dune_ring3_stop(frame, 0);
	else if (frame->vector == VECTOR_DB)
		host_call(dune_fault_report, (long)frame, take_dr6(), 0);
	else if (frame->vector != VECTOR_PF || !fixup(frame))
		host_call(dune_fault_report, (long)frame, saved_cr2(frame), 0);
}

static void handle_syscall_default(struct dune_frame *frame)
{
	frame->rax = -ENOSYS;
}

/*
 * Ring 3 can put off a #DB (MOV SS) until the first instruction of an entry: then
 * FS is still ring 3's, and there is nothing to be told to anybody.
 */
static void handle_debug(struct dune_frame *frame)
{
	const char *rip = (const char *)frame->rip;

	if (!dune_frame_is_user(frame) && rip >= dune_trap_stubs && rip < dune_trap_entry_end)
		return;
	debug_handler(frame);
}

/*
 * STAC and CLAC do not exist where the CPU has no SMAP (before Broadwell); programs
 * that use dune_user_begin() need not know. AC does no harm in ring 0 there.
 */
static void handle_invalid_opcode(struct dune_frame *frame)
{
	const uint8_t *code = (const uint8_t *)frame->rip;

	if (dune_frame_is_user(frame) || code[0] != 0x0f || code[1] != 0x01 ||
	    (code[2] != 0xca && code[2] != 0xcb)) {
		invalid_opcode_handler(frame);
		return;
	}
	frame->rip += 3;
	if (code[2] == 0xcb)
		frame->rflags |= RFLAGS_AC;
	else
		frame->rflags &= ~(uint64_t)RFLAGS_AC;
}

static void handle_double_fault(struct dune_frame *frame)
{
	host_call(dune_fault_report, (long)frame, read_cr2(), 0);
}

void dune_trap_restore_cr2(struct dune_frame *frame)
{
	uint64_t top = (uint64_t)dune_cpu_from_stack(frame) + CPU_IST1_TOP;
	uint64_t level = (uint64_t)frame + FRAME_BYTES + CPU_IST_LEVEL;

	for (; level <= top; level += CPU_IST_LEVEL) {
		frame = (void *)(level - FRAME_BYTES);
		if (frame->vector == VECTOR_PF) {
			__asm__ volatile("mov %0, %%cr2" ::"r"(saved_cr2(frame)));
			return;
		}
	}
}

/* True: the access can be tried again. */
static bool fill_tile(struct dune_frame *frame, uint64_t address)
{
	bool arena = dune_arena_contains(address, 1);
	int allowed = dune_pgtable_allows(address, frame->error);

	if (allowed >= 0) /* another thread was faster, or no rights */
		return allowed;
	if (address >> 47 || (dune_frame_is_user(frame) && !arena))
		return false;
	return !host_call(dune_tile_map, address, arena ? TILE_ARENA : 0, 0);
}

/* A handler of the program's may be called only where the program was interrupted: in
 * the trap path FS and GS may still be ring 3's. */
static void handle_page_fault_slow(struct dune_frame *frame)
{
	const struct cpu *cpu = dune_cpu_from_stack(frame);

	frame->vector = VECTOR_PF;
	if (!(frame->error & (PF_PRESENT | PF_HOST)) && fill_tile(frame, saved_cr2(frame)))
		return;
	/* A thread may unmap the stack that it is on; SYSCALL needs none. */
	if (dune_signal_finish_own_call(frame))
		return;
	/* No hardware sets PF_HOST, so handlers do not see it; fault.c needs it. */
	if (!dune_frame_is_user(frame))
		frame->fs_base = frame->error & PF_HOST;
	frame->error &= ~(uint64_t)PF_HOST;
	if (fixup(frame))
		return;
	if (dune_frame_is_user(frame) || dune_signal_is_in_program(cpu, frame))
		dune_trap_table[VECTOR_PF](frame);
	else
		handle_default(frame);
}

/* Ring 3 cannot go on where rip is not canonical: the #GP that the CPU would raise
 * there comes from here. */
void dune_trap_bad_user_rip(struct dune_frame *frame)
{
	frame->vector = VECTOR_GP;
	frame->error = 0;
	dune_trap_table[VECTOR_GP](frame);
	if (frame->vector == VECTOR_GP && frame->cs & 3 && frame->rip >> 47)
		dune_ring3_stop(frame, 0);
}

void dune_trap_init(void)
{
	unsigned eax, ebx, ecx, edx;

	for (unsigned row = 0; row < DUNE_NR_VECTORS; row++)
		dune_trap_table[row] = handle_default;
	debug_handler = invalid_opcode_handler = handle_default;
	dune_trap_table[VECTOR_DB] = handle_debug;
	if (!dune_cpu_has_smap)
		dune_trap_table[VECTOR_UD] = handle_invalid_opcode;
	dune_trap_table[VECTOR_DF] = handle_double_fault;
	dune_trap_table[TRAP_PAGE_FAULT_SLOW] = handle_page_fault_slow;
	dune_trap_table[TRAP_SYSCALL] = handle_syscall_default;
	__cpuid_count(0xd, 0, eax, ebx, ecx, edx);
	dune_trap_xsave_bytes = ebx;
}

/* What the table holds for a handler: itself, or the wrapper that then calls it. */
static dune_handler table_entry(unsigned row, dune_handler handler, unsigned flags)
{
	if (!(flags & DUNE_SAVE_FPU))
		return handler;
	dune_trap_fpu_table[row] = handler;
	return dune_trap_save_fpu;
}

PUBLIC int dune_set_handler(unsigned vector, dune_handler handler, unsigned flags)
{
	dune_handler entry;

	if (vector >= DUNE_NR_VECTORS || flags & ~DUNE_SAVE_FPU || vector == 2 ||
	    vector == VECTOR_DF || vector == 18)
		return -EINVAL;
	entry = handler ? table_entry(vector, handler, flags) : handle_default;
	if (vector == VECTOR_DB)
		debug_handler = entry;
	else if (vector == VECTOR_UD && !dune_cpu_has_smap)
		invalid_opcode_handler = entry;
	else
		dune_trap_table[vector] = entry;
	return 0;
}

PUBLIC int dune_set_syscall_handler(dune_handler handler, unsigned flags)
{
	if (flags & ~DUNE_SAVE_FPU)
		return -EINVAL;
	dune_trap_table[TRAP_SYSCALL] =
		handler ? table_entry(TRAP_SYSCALL, handler, flags) : handle_syscall_default;
	return 0;
}

PUBLIC uint64_t dune_fault_address(void)
{
	return read_cr2();
}

PUBLIC void dune_frame_resume_at(struct dune_frame *frame, uint64_t rip, uint64_t rsp)
{
	frame->rip = rip;
	frame->rsp = rsp;
}

static void fill_end(struct dune_ring3_end *end, const struct dune_frame *frame, uint64_t value)
{
	end->value = value;
	end->vector = frame->vector;
	end->error = frame->error;
	end->rip = frame->rip;
	end->address = frame->vector == VECTOR_PF ? saved_cr2(frame) : 0;
}

/* Not cpu->ring3, which may be a run that the handler began and a signal handler left. */
static struct ring3_context *context_of(const struct cpu *cpu, struct dune_frame *frame)
{
	if (is_of_exception(cpu, frame))
		return dune_trap_ring3_of(frame);
	return (struct ring3_context *)(frame + 1);
}

/* IST 2 when all handlers from this one on to ring 3 have been left behind. */
static uint64_t ist2_after(const struct cpu *cpu, const struct dune_frame *frame)
{
	uint64_t bottom = (uint64_t)cpu + CPU_IST2_BOTTOM, ist = cpu->tss.ist[1];

	for (int i = 0; i < NR_LEVELS && frame; i++) {
		if ((uint64_t)frame - bottom < CPU_IST2_TOP - CPU_IST2_BOTTOM)
			ist += CPU_IST_LEVEL;
		if (dune_frame_is_user(frame))
			break;
		frame = dune_trap_frame_of_level(cpu, frame->rsp);
	}
	return ist;
}

PUBLIC void dune_ring3_stop(struct dune_frame *frame, uint64_t value)
{
	struct cpu *cpu = dune_cpu_current();
	struct ring3_context *context = context_of(cpu, frame);

	if (!context)
		return;
	if (context->end)
		fill_end(context->end, frame, value);
	frame->rcx = ist2_after(cpu, frame);
	frame->rax = 0;
	frame->rip = (uint64_t)dune_ring3_run_stopped;
	if (context->value) {
		*context->value = value;
		if (dune_frame_is_user(frame))
			cpu->fs_ring3 = frame->fs_base;
		if (frame->vector != DUNE_VECTOR_SYSCALL)
			frame->rax = -EFAULT;
		frame->rip = (uint64_t)dune_ring3_call_stopped;
	}
	frame->cs = DUNE_SEL_CODE0;
	frame->rflags = RFLAGS_RING0;
	frame->rsp = (uint64_t)context;
	frame->ss = DUNE_SEL_DATA0;
}
