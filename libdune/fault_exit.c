// SPDX-License-Identifier: MIT
/*
 * Exits that are no hypercall. An access that the process could not make becomes a page
 * fault in the guest; whoever handles none ends in fault.c. An exit that cannot be
 * continued ends the program, and a line on stderr says what, where and why.
 *
 * Runs in host context, often in the middle of the program's vector code: no libc.
 */
#include <signal.h>
#include <stddef.h>
#include "dune.h"
#include "dune_exit_reason.h"
#include "context.h"
#include "cpu.h"
#include "frame.h"
#include "host.h"
#include "line.h"
#include "pgtable.h"

#define MAX_REFUSALS 100

DUNE_EXIT_REASON_TABLE(exit_reasons);
DUNE_VM_INSTRUCTION_ERROR_TABLE(instruction_errors);

/* What the CPU said when it would not go on. */
static void put_hardware_reason(struct line *line, volatile struct dune_run *run)
{
	uint32_t reason = run->hardware_reason, error = run->entry_error;
	const char *name;

	dune_line_put(line, "; ");
	if (error) {
		name = dune_name_find(instruction_errors,
				      sizeof(instruction_errors) / sizeof(instruction_errors[0]),
				      error);
		dune_line_put(line, name ? name : "unknown");
		dune_line_put_hex(line, " (VM-instruction error ", error);
		dune_line_put(line, ")");
		return;
	}
	name = dune_name_find(exit_reasons, sizeof(exit_reasons) / sizeof(exit_reasons[0]), reason);
	dune_line_put(line, name ? name : "unknown");
	dune_line_put_hex(line, " (hardware reason ", reason);
	dune_line_put_hex(line, "), qualification ", run->qualification);
}

static _Noreturn void end_at_exit(struct cpu *cpu, long reason, const char *why)
{
	struct dune_state state = { .groups = DUNE_STATE_ALL };
	struct line line;

	dune_line_begin(&line);
	dune_line_put(&line, why);
	if (reason == DUNE_EXIT_FAIL_ENTRY || reason == DUNE_EXIT_UNKNOWN)
		put_hardware_reason(&line, cpu->run);
	if (!dune_backend_get_state(cpu->vcpu_fd, &state)) {
		dune_line_put_hex(&line, ", rip ", state.rip);
		dune_line_put_hex(&line, ", rsp ", state.gpr[DUNE_RSP]);
		dune_line_put_hex(&line, ", cs ", state.cs);
		dune_line_put_hex(&line, ", rflags ", state.rflags);
		dune_line_put_hex(&line, ", cr2 ", state.cr2);
		dune_line_put_hex(&line, ", cr3 ", state.cr3);
	}
	dune_line_end(&line);
	dune_fault_end(SIGSEGV);
}

_Noreturn void dune_fault_exit(struct cpu *cpu, long reason)
{
	struct line line;

	switch (reason) {
	case DUNE_EXIT_SHUTDOWN:
		end_at_exit(cpu, reason, "triple fault in the guest");
	case DUNE_EXIT_FAIL_ENTRY:
		end_at_exit(cpu, reason, "the CPU refuses the guest's state");
	case DUNE_EXIT_UNKNOWN:
		end_at_exit(cpu, reason, "an exit that the module does not know");
	}
	dune_line_begin(&line);
	dune_line_put(&line, "/dev/dune cannot run this thread: error ");
	dune_line_put_number(&line, -reason);
	dune_line_end(&line);
	dune_fault_end(SIGSEGV);
}

/*
 * The same access again and again, though the process could make it: the module
 * cannot show that mapping. A handler that waits for somebody to change what the
 * process may do is none of that, and neither is code, which nobody tries again.
 */
static bool is_stuck(struct cpu *cpu)
{
	volatile struct dune_run *run = cpu->run;

	if (run->rip != cpu->refused_rip || run->memory_gva != cpu->refused_gva) {
		cpu->refused_rip = run->rip;
		cpu->refused_gva = run->memory_gva;
		cpu->refused_count = 0;
	}
	if (++cpu->refused_count <= MAX_REFUSALS)
		return false;
	if ((run->memory_access & DUNE_ACCESS_EXEC) ||
	    !dune_fault_can_access(run->memory_hva, run->memory_access & DUNE_ACCESS_WRITE))
		cpu->refused_count = 0;
	return cpu->refused_count > 2 * MAX_REFUSALS;
}

/* Another thread took the tile back (tile.c) between the guest's walk and the module's
 * look: the next walk finds none. */
static bool is_outdated(struct cpu *cpu)
{
	volatile struct dune_run *run = cpu->run;

	if ((run->memory_access & DUNE_ACCESS_WALK) ||
	    dune_pgtable_maps(run->memory_gva, run->memory_gpa))
		return false;
	if (run->memory_gva != cpu->outdated_gva)
		cpu->outdated_count = 0;
	cpu->outdated_gva = run->memory_gva;
	return ++cpu->outdated_count <= MAX_REFUSALS;
}

void dune_fault_memory(struct cpu *cpu)
{
	volatile struct dune_run *run = cpu->run;
	uint32_t access = run->memory_access;
	uint32_t error = PF_HOST;

	if (is_outdated(cpu))
		return;
	if (access & DUNE_ACCESS_NO_TILE)
		end_at_exit(cpu, DUNE_EXIT_MEMORY, "a page-table entry points outside the tiles");
	if (access & DUNE_ACCESS_WALK)
		end_at_exit(cpu, DUNE_EXIT_MEMORY, "a page table cannot be reached");
	if (run->memory_gva - (uint64_t)cpu < CPU_BYTES)
		end_at_exit(cpu, DUNE_EXIT_MEMORY, "trap stack overflow");
	if (is_stuck(cpu))
		end_at_exit(cpu, DUNE_EXIT_MEMORY,
			    "the module cannot show a page that the process has");
	if (access & DUNE_ACCESS_WRITE)
		error |= PF_WRITE;
	if (access & DUNE_ACCESS_USER)
		error |= PF_USER;
	if (access & DUNE_ACCESS_EXEC)
		error |= PF_FETCH;
	run->inject_cr2 = run->memory_gva;
	run->inject_error = error;
	run->inject = DUNE_INJECT_VALID | DUNE_INJECT_ERROR | 14;
}
