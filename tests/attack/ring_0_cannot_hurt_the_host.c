// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's ring 0 is as hostile as its process: what it may not do is a
 * fault inside it (here a triple fault, for lack of an IDT), what it may do
 * leaves the host's own state alone, and no secret of the host can be read.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>

enum { FAULTS = 1, RUNS = 2, EITHER = 3 };

/* mov ecx, msr; … */
#define RDMSR(b0, b1, b2, b3) "\xb9" b0 b1 b2 b3 "\x0f\x32"
#define WRMSR(b0, b1, b2, b3) "\xb9" b0 b1 b2 b3 "\x31\xc0\x31\xd2\x0f\x30"
/* … with edx:eax = 0x0000800000000000, which is not canonical */
#define WRMSR_BAD(b0, b1, b2, b3) "\xb9" b0 b1 b2 b3 "\x31\xc0\xba\x00\x80\x00\x00\x0f\x30"

static const struct {
	const char *name;
	const char *bytes;
	size_t length;
	int ends;
} rows[] = {
#define ROW(name, bytes, ends)                       \
	{                                            \
		name, bytes, sizeof(bytes) - 1, ends \
	}
	ROW("nop", "\x90", RUNS),
	ROW("rdmsr TSC", RDMSR("\x10", "\x00", "\x00", "\x00"), EITHER),
	ROW("rdmsr APIC_BASE", RDMSR("\x1b", "\x00", "\x00", "\x00"), FAULTS),
	ROW("rdmsr FEATURE_CONTROL", RDMSR("\x3a", "\x00", "\x00", "\x00"), FAULTS),
	ROW("rdmsr SYSENTER_EIP", RDMSR("\x76", "\x01", "\x00", "\x00"), EITHER),
	ROW("rdmsr MISC_ENABLE", RDMSR("\xa0", "\x01", "\x00", "\x00"), FAULTS),
	ROW("rdmsr VMX_BASIC", RDMSR("\x80", "\x04", "\x00", "\x00"), FAULTS),
	ROW("rdmsr RAPL_POWER_UNIT", RDMSR("\x06", "\x06", "\x00", "\x00"), FAULTS),
	ROW("rdmsr PKG_ENERGY_STATUS", RDMSR("\x11", "\x06", "\x00", "\x00"), FAULTS),
	ROW("rdmsr x2APIC ID", RDMSR("\x02", "\x08", "\x00", "\x00"), FAULTS),
	ROW("rdmsr TSC_AUX", RDMSR("\x03", "\x01", "\x00", "\xc0"), EITHER),
	ROW("rdmsr of no such MSR", RDMSR("\xef", "\xbe", "\xad", "\xde"), FAULTS),
	ROW("wrmsr TSC", WRMSR("\x10", "\x00", "\x00", "\x00"), FAULTS),
	ROW("wrmsr APIC_BASE", WRMSR("\x1b", "\x00", "\x00", "\x00"), FAULTS),
	ROW("wrmsr FEATURE_CONTROL", WRMSR("\x3a", "\x00", "\x00", "\x00"), FAULTS),
	ROW("wrmsr SPEC_CTRL", WRMSR("\x48", "\x00", "\x00", "\x00"), FAULTS),
	ROW("wrmsr SYSENTER_EIP", WRMSR("\x76", "\x01", "\x00", "\x00"), FAULTS),
	ROW("wrmsr DEBUGCTL", WRMSR("\xd9", "\x01", "\x00", "\x00"), EITHER),
	ROW("wrmsr PAT", WRMSR("\x77", "\x02", "\x00", "\x00"), FAULTS),
	ROW("wrmsr MTRR_DEF_TYPE", WRMSR("\xff", "\x02", "\x00", "\x00"), FAULTS),
	ROW("wrmsr PERF_GLOBAL_CTRL", WRMSR("\x8f", "\x03", "\x00", "\x00"), FAULTS),
	ROW("wrmsr x2APIC ICR", WRMSR("\x30", "\x08", "\x00", "\x00"), FAULTS),
	ROW("wrmsr TSC_DEADLINE", WRMSR("\xe0", "\x06", "\x00", "\x00"), FAULTS),
	ROW("wrmsr XSS", WRMSR("\xa0", "\x0d", "\x00", "\x00"), EITHER),
	ROW("wrmsr EFER = 0", WRMSR("\x80", "\x00", "\x00", "\xc0"), FAULTS),
	ROW("wrmsr STAR = 0", WRMSR("\x81", "\x00", "\x00", "\xc0"), FAULTS),
	ROW("wrmsr FMASK = 0", WRMSR("\x84", "\x00", "\x00", "\xc0"), FAULTS),
	ROW("wrmsr TSC_AUX", WRMSR("\x03", "\x01", "\x00", "\xc0"), FAULTS),
	ROW("wrmsr LSTAR = 0", WRMSR("\x82", "\x00", "\x00", "\xc0"), RUNS),
	ROW("wrmsr LSTAR, not canonical", WRMSR_BAD("\x82", "\x00", "\x00", "\xc0"), FAULTS),
	ROW("wrmsr FS_BASE = 0", WRMSR("\x00", "\x01", "\x00", "\xc0"), RUNS),
	ROW("wrmsr FS_BASE, not canonical", WRMSR_BAD("\x00", "\x01", "\x00", "\xc0"), FAULTS),
	ROW("wrmsr GS_BASE = 0", WRMSR("\x01", "\x01", "\x00", "\xc0"), RUNS),
	ROW("wrmsr GS_BASE, not canonical", WRMSR_BAD("\x01", "\x01", "\x00", "\xc0"), FAULTS),
	ROW("wrmsr KERNEL_GS_BASE = 0", WRMSR("\x02", "\x01", "\x00", "\xc0"), RUNS),
	ROW("wrmsr KERNEL_GS_BASE, not canonical", WRMSR_BAD("\x02", "\x01", "\x00", "\xc0"),
	    FAULTS),
	ROW("wrmsr of no such MSR", WRMSR("\xef", "\xbe", "\xad", "\xde"), FAULTS),
	ROW("cr0 = 0", "\x31\xc0\x0f\x22\xc0", FAULTS),
	ROW("cr0 without PG", "\x0f\x20\xc0\x0f\xba\xf0\x1f\x0f\x22\xc0", FAULTS),
	ROW("cr0 with CD", "\x0f\x20\xc0\x0f\xba\xe8\x1e\x0f\x22\xc0", FAULTS),
	ROW("cr4 = 0", "\x31\xc0\x0f\x22\xe0", FAULTS),
	ROW("cr4 with VMXE", "\x0f\x20\xe0\x0f\xba\xe8\x0d\x0f\x22\xe0", FAULTS),
	ROW("cr4 with SMXE", "\x0f\x20\xe0\x0f\xba\xe8\x0e\x0f\x22\xe0", FAULTS),
	ROW("cr4 with reserved bits", "\x0f\x20\xe0\x0f\xba\xe8\x1f\x0f\x22\xe0", FAULTS),
	ROW("cr3 with reserved bits", "\x48\xb8\x00\x00\x00\x00\x00\x00\x00\x40\x0f\x22\xd8",
	    FAULTS),
	ROW("xsetbv 0", "\x31\xc9\x31\xc0\x31\xd2\x0f\x01\xd1", FAULTS),
	ROW("xsetbv all", "\x31\xc9\x83\xc8\xff\x83\xca\xff\x0f\x01\xd1", FAULTS),
	ROW("out 0x64", "\xb0\xfe\xe6\x64", FAULTS),
	ROW("in 0x60", "\xe4\x60", FAULTS),
	ROW("out 0xcf9", "\x66\xba\xf9\x0c\xb0\x06\xee", FAULTS),
	ROW("insb", "\x66\xba\x60\x00\xbf\x00\x00\x02\x00\x6c", FAULTS),
	ROW("vmxoff", "\x0f\x01\xc4", FAULTS),
	ROW("vmxon", "\x68\x00\x90\x00\x00\xf3\x0f\xc7\x34\x24", FAULTS),
	ROW("vmread", "\x0f\x78\xc0", FAULTS),
	ROW("vmlaunch", "\x0f\x01\xc2", FAULTS),
	ROW("vmfunc", "\x31\xc0\x31\xc9\x0f\x01\xd4", FAULTS),
	ROW("invept", "\x66\x0f\x38\x80\x04\x24", FAULTS),
	ROW("invd", "\x0f\x08", FAULTS),
	ROW("wbinvd", "\x0f\x09", FAULTS),
	ROW("rdpmc", "\x31\xc9\x0f\x33", FAULTS),
	ROW("monitor", "\x0f\x01\xc8", FAULTS),
	ROW("mwait", "\x0f\x01\xc9", FAULTS),
	ROW("hlt", "\xf4", RUNS),
	ROW("cpuid", "\x31\xc0\x0f\xa2", RUNS),
	ROW("cpuid, all ones", "\x83\xc8\xff\x83\xc9\xff\x0f\xa2", RUNS),
	ROW("mov dr0", "\x48\x8d\x05\x00\x00\x00\x00\x0f\x23\xc0", RUNS),
	ROW("mov dr6 = all ones", "\x48\x83\xc8\xff\x0f\x23\xf0", FAULTS),
	ROW("mov dr7 = all ones", "\x48\x83\xc8\xff\x0f\x23\xf8", FAULTS),
	ROW("mov cr2", "\x0f\x22\xd0", RUNS),
	ROW("mov cr8", "\x31\xc0\x44\x0f\x22\xc0", FAULTS),
	ROW("mov from cr8", "\x44\x0f\x20\xc0", FAULTS),
	ROW("clts", "\x0f\x06", RUNS),
	ROW("swapgs", "\x0f\x01\xf8", RUNS),
	ROW("wrgsbase, if any", "\x31\xc0\xf3\x48\x0f\xae\xd8", EITHER),
	ROW("lgdt of nothing", "\x6a\x00\x6a\x00\x0f\x01\x14\x24", EITHER),
	ROW("lidt of nothing", "\x6a\x00\x6a\x00\x0f\x01\x1c\x24", EITHER),
	ROW("ltr of nothing", "\x31\xc0\x0f\x00\xd8", FAULTS),
	ROW("lldt of nothing", "\x31\xc0\x0f\x00\xd0", RUNS),
	ROW("cli", "\xfa", RUNS),
	ROW("popf with all ones", "\x6a\xff\x9d", EITHER),
};
enum { NR_ROWS = sizeof(rows) / sizeof(rows[0]) };

static __thread long tls_canary = 0x7157;

/* What the host restores after an exit. */
struct host {
	uint64_t fs_base, gs_base;
	uint16_t ds, es, fs, gs, ss;
	uint32_t mxcsr;
	uint16_t x87;
};

static struct host read_host(void)
{
	struct host host;

	memset(&host, 0, sizeof(host));
	CHECK_OK(syscall(SYS_arch_prctl, 0x1003, &host.fs_base));
	CHECK_OK(syscall(SYS_arch_prctl, 0x1004, &host.gs_base));
	__asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3; mov %%ss, %4"
			 : "=r"(host.ds), "=r"(host.es), "=r"(host.fs), "=r"(host.gs),
			   "=r"(host.ss));
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(host.mxcsr), "=m"(host.x87));
	return host;
}

static void run_row(struct raw *raw, unsigned row, int ring)
{
	struct dune_state state = raw_state(raw);
	struct host before = read_host(), after;
	char *code = raw->memory + RAW_CODE;
	pid_t pid = getpid();
	long reason;
	int ends;

	memcpy(code, rows[row].bytes, rows[row].length);
	memcpy(code + rows[row].length, "\x0f\x01\xc1", 3); /* vmcall */
	if (ring) {
		state.cs = DUNE_SEL_CODE3;
		state.ss = DUNE_SEL_DATA3;
	}
	raw_set_state(raw->vcpu, &state);
	reason = raw_run(raw);

	after = read_host();
	if (memcmp(&before, &after, sizeof(before)) || tls_canary != 0x7157 ||
	    syscall(SYS_getpid) != pid)
		FAIL("%s in ring %d: the host's state changed", rows[row].name, ring);
	ends = reason == DUNE_EXIT_SHUTDOWN ? FAULTS : reason == DUNE_EXIT_HYPERCALL ? RUNS : 0;
	if (ring ? ends != FAULTS : !(ends & rows[row].ends))
		FAIL("%s in ring %d: reason %ld, hardware reason %u", rows[row].name, ring, reason,
		     raw->run->hardware_reason);
}

/* Each row starts from the same state: setting it undoes what the one before did. */
static void run_rows(struct raw *raw, int ring)
{
	raw_create(raw);
	for (unsigned row = 0; row < NR_ROWS; row++)
		run_row(raw, row, ring);
}

static void in_ring_0(void)
{
	struct raw raw;

	run_rows(&raw, 0);
}

/* All of them end there, if only by the vmcall that follows. */
static void in_ring_3(void)
{
	struct raw raw;

	run_rows(&raw, 3);
}

/* The guest itself, and the next one, find a CPU as it should be. */
static void and_afterwards_all_is_well(void)
{
	struct raw raw;

	for (int turn = 0; turn < 2; turn++) {
		if (turn)
			raw_create(&raw);
		else
			run_rows(&raw, 0);
		raw_load(&raw, raw_count, 0, 0);
		for (uint64_t i = 1; i <= 100; i++) {
			CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
			CHECK_EQ(raw.run->gpr[DUNE_RBX], i);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(in_ring_0),
		guest_test(in_ring_3),
		guest_test(and_afterwards_all_is_well),
	};

	return run_guest_tests(tests);
}
