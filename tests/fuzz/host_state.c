// SPDX-License-Identifier: GPL-2.0-only
/* What of a thread no guest may change; see fuzzer.h. */
#define _GNU_SOURCE
#include "fuzzer.h"

#include <asm/prctl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/syscall.h>

enum { SELECTOR_CPU = 0x7b, FLAGS_KEPT = 0x254700 /* TF IF DF NT AC ID, no RF */ };

void host_state_read(struct host_state *state)
{
	uint32_t low, high, limit, aux;

	memset(state, 0, sizeof(*state));
	syscall(SYS_arch_prctl, ARCH_GET_FS, &state->fs_base);
	syscall(SYS_arch_prctl, ARCH_GET_GS, &state->gs_base);
	syscall(SYS_rt_sigprocmask, 0, NULL, &state->signal_mask, 8);
	__asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
			 : "=r"(state->ds), "=r"(state->es), "=r"(state->fs), "=r"(state->gs));
	__asm__ volatile("mov %%ss, %0; mov %%cs, %1" : "=r"(state->ss), "=r"(state->cs));
	__asm__ volatile("pushfq; pop %0" : "=r"(state->flags));
	state->flags &= FLAGS_KEPT;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	state->xcr0 = low | (uint64_t)high << 32;
	/* Both come from the CPU itself: the GDT's limit and entry, and TSC_AUX. */
	__asm__ volatile("lsl %1, %0" : "=r"(limit) : "r"((uint32_t)SELECTOR_CPU));
	__asm__ volatile("rdtscp" : "=c"(aux) : : "rax", "rdx");
	state->lsl_cpu = limit & 0xfff;
	state->rdtscp_cpu = aux & 0xfff;
}

void host_state_reset_vector(void)
{
	static const uint32_t mxcsr = 0x1f80;

	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
}

const char *host_state_compare(const struct host_state *before, const struct host_state *after)
{
	if (before->fs_base != after->fs_base)
		return "the FS base";
	if (before->gs_base != after->gs_base)
		return "the GS base";
	if (before->signal_mask != after->signal_mask)
		return "the signal mask";
	if (before->xcr0 != after->xcr0)
		return "XCR0";
	if (before->flags != after->flags)
		return "the flags";
	if (before->ds != after->ds || before->es != after->es || before->fs != after->fs ||
	    before->gs != after->gs || before->ss != after->ss || before->cs != after->cs)
		return "a selector";
	/* Threads move, so it is only said that the two are of one mind. */
	if (after->lsl_cpu != after->rdtscp_cpu && sched_getcpu() == (int)after->rdtscp_cpu)
		return "the CPU's number in the GDT";
	return NULL;
}

/* ---- Debug registers ------------------------------------------------------------------ */

static int watch = -1;
static volatile uint64_t watched;

void host_watch_begin(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_W,
		.bp_addr = (uintptr_t)&watched,
		.bp_len = sizeof(watched),
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	watch = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

void host_watch_forget(void)
{
	watch = -1;
}

bool host_watch_works(void)
{
	uint64_t before, after;

	if (watch < 0 || read(watch, &before, sizeof(before)) != sizeof(before))
		return true;
	watched++;
	return read(watch, &after, sizeof(after)) != sizeof(after) || after == before + 1;
}
