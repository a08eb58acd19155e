// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread has after a run what it had before: selectors, bases, LDT, the limits of
 * the tables, I/O ports, protection keys, hardware breakpoints. The guest sets all of its own to
 * something else.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <asm/ldt.h>
#include <cpuid.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/io.h>
#include <sys/syscall.h>

#define LDT_SELECTOR 7 /* entry 0, ring 3 */
#define SPOILT	     0x123456789000ull

static struct raw raw;

/* Not the IDT's limit: an exit leaves it at 64 KiB, and there are 256 vectors. */
static const char *const names[] = { "ds",	"es",  "fs",	    "gs",  "ldt",   "tr", "fs base",
				     "gs base", "gdt", "gdt limit", "idt", "mxcsr", "x87" };
enum { NR_FIELDS = sizeof(names) / sizeof(names[0]) };

struct __attribute__((packed)) table {
	uint16_t limit;
	uint64_t base;
};

static void read_host(uint64_t host[NR_FIELDS])
{
	struct table gdt, idt;
	uint64_t ds, es, fs, gs, ldt, tr, fs_base, gs_base;
	uint32_t mxcsr;
	uint16_t x87;

	__asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
			 : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
	__asm__ volatile("sldt %0; str %1; sgdt %2; sidt %3"
			 : "=r"(ldt), "=r"(tr), "=m"(gdt), "=m"(idt));
	__asm__ volatile("rdfsbase %0; rdgsbase %1" : "=r"(fs_base), "=r"(gs_base));
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(x87));
	memcpy(host,
	       (uint64_t[NR_FIELDS]){ ds, es, fs, gs, ldt & 0xffff, tr & 0xffff, fs_base, gs_base,
				      gdt.base, gdt.limit, idt.base, mxcsr, x87 },
	       NR_FIELDS * sizeof(uint64_t));
}

/* Selectors that are not null, one of them in an LDT; bases that are not theirs. */
static void take_segments(void)
{
	struct user_desc entry = {
		.limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1
	};
	uint64_t base;

	CHECK_OK(syscall(SYS_modify_ldt, 1, &entry, sizeof(entry)));
	__asm__ volatile("mov %0, %%ds; mov %1, %%es" ::"r"(0x2b), "r"(LDT_SELECTOR));
	__asm__ volatile("rdfsbase %0; mov %1, %%fs; wrfsbase %0" : "=&r"(base) : "r"(0x2b));
	__asm__ volatile("mov %0, %%gs; wrgsbase %1" ::"r"(0x2b), "r"(0x7654321000ull));
}

static void run_and_compare(const char *code)
{
	uint64_t before[NR_FIELDS], after[NR_FIELDS];

	raw_load(&raw, code, SPOILT, 0);
	for (int turn = 0; turn < 20; turn++) {
		read_host(before);
		CHECK_EQ(lseek(raw.vcpu, 0, SEEK_SET) >= 0, 1);
		read_host(after);
		for (unsigned i = 0; i < NR_FIELDS; i++)
			if (before[i] != after[i])
				FAIL("%s was %#lx and is %#lx", names[i], before[i], after[i]);
	}
}

static void its_own_state_comes_back(void)
{
	raw_create(&raw);
	run_and_compare(raw_count);
	run_and_compare(raw_spoil);
	take_segments();
	run_and_compare(raw_count);
	run_and_compare(raw_spoil);
}

static uint64_t thread_base_before, thread_base_after;

/* Nothing here may need thread-local storage before its base is right again. */
static void *run_once(void *unused)
{
	long nr = SYS_lseek;

	__asm__ volatile("rdfsbase %0" : "=r"(thread_base_before));
	__asm__ volatile("syscall"
			 : "+a"(nr)
			 : "D"((long)raw.vcpu), "S"(0L), "d"(0L)
			 : "rcx", "r11", "memory");
	__asm__ volatile("rdfsbase %0; wrfsbase %1"
			 : "=&r"(thread_base_after)
			 : "r"(thread_base_before));
	return unused;
}

static void each_thread_has_its_own_base(void)
{
	pthread_t thread;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	for (int turn = 0; turn < 10; turn++) {
		CHECK_EQ(pthread_create(&thread, NULL, run_once, NULL), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK_EQ(thread_base_after, thread_base_before);
		run_once(NULL);
		CHECK_EQ(thread_base_after, thread_base_before);
	}
}

/* 0x80 is the port for which nobody listens. */
static void its_own_ports_stay(void)
{
	raw_create(&raw);
	raw_load(&raw, raw_spoil, SPOILT, 0);
	CHECK_OK(ioperm(0x80, 1, 1));
	for (int turn = 0; turn < 20; turn++) {
		outb(0, 0x80); /* SIGSEGV where it may not */
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		outb(0, 0x80);
	}
}

static uint32_t read_keys(void)
{
	uint32_t keys;

	__asm__ volatile("rdpkru" : "=a"(keys) : "c"(0) : "rdx");
	return keys;
}

/* Protection keys are a component of XSAVE, whatever the guest's CR4 says of them. */
static void its_own_keys_stay(void)
{
	enum { COMPONENT = 9, XSTATE_BV = 512 };
	const uint64_t components = 1 << COMPONENT;
	uint32_t size, offset, ecx, edx, before;
	struct dune_state state;

	TEST_REQUIRE(syscall(SYS_pkey_alloc, 0, 0) > 0, "a CPU without protection keys");
	__cpuid_count(0xd, COMPONENT, size, offset, ecx, edx);
	CHECK(offset + size <= RAW_BYTES - RAW_DATA);
	raw_create(&raw);
	raw_load(&raw, raw_xrstor, RAW_DATA, components);
	memcpy(raw.memory + RAW_DATA + XSTATE_BV, &components, sizeof(components));
	/* Everything is allowed; Linux begins with the first key alone. */
	memset(raw.memory + RAW_DATA + offset, 0, size);
	state = raw_state(&raw);
	state.gpr[DUNE_RDI] = RAW_DATA;
	state.gpr[DUNE_RSI] = components;
	state.cr4 |= 1 << 18; /* OSXSAVE */
	raw_set_state(raw.vcpu, &state);
	before = read_keys();
	CHECK(before);
	for (int turn = 0; turn < 20; turn++) {
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(read_keys(), before);
	}
}

static volatile int watched;

static int watch(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_BREAKPOINT,
					.size = sizeof(attr),
					.bp_type = HW_BREAKPOINT_W,
					.bp_addr = (uintptr_t)&watched,
					.bp_len = HW_BREAKPOINT_LEN_4,
					.exclude_kernel = 1,
					.exclude_hv = 1 };

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static void breakpoints_stay(const char *code, uint64_t rdi, uint64_t rsi)
{
	int event = watch();
	uint64_t count;

	TEST_REQUIRE(event >= 0, "the kernel offers no hardware breakpoints");
	raw_create(&raw);
	raw_load(&raw, code, rdi, rsi);
	for (uint64_t i = 1; i <= 20; i++) {
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		watched = i;
		CHECK_EQ(read(event, &count, sizeof(count)), sizeof(count));
		CHECK_EQ(count, i);
	}
	close(event);
}

static void its_own_breakpoints_stay(void)
{
	breakpoints_stay(raw_count, 0, 0);
}

/* A write of 4 bytes at RAW_DATA, in the register that the host uses, too. */
static void its_own_breakpoints_stay_beside_the_guests(void)
{
	breakpoints_stay(raw_watch, RAW_DATA, 0xd0401);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(its_own_state_comes_back),
		guest_test(each_thread_has_its_own_base),
		guest_test(its_own_ports_stay),
		guest_test(its_own_keys_stay),
		guest_test(its_own_breakpoints_stay),
		guest_test(its_own_breakpoints_stay_beside_the_guests),
	};

	return run_guest_tests(tests);
}
