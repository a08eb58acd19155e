// SPDX-License-Identifier: GPL-2.0-only
/*
 * x87, SSE, AVX and whatever else XSAVE covers survive hypercalls, EPT faults,
 * preemption by a process that uses it too, and do not leak between rings.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "late.h"

#include <cpuid.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

enum { AREA_BYTES = 16384, X87 = 0, SSE = 1, AVX = 2, OPMASK = 5, ZMM = 6, HI_ZMM = 7 };

static uint8_t ours[AREA_BYTES] __attribute__((aligned(64)));
static uint8_t mine[AREA_BYTES] __attribute__((aligned(64)));
static uint8_t after[AREA_BYTES] __attribute__((aligned(64)));

static const struct {
	int component;
	const char *name;
} components[] = {
	{ AVX, "ymm" },
	{ OPMASK, "opmask" },
	{ ZMM, "zmm, upper halves" },
	{ HI_ZMM, "zmm16-31" },
};
enum { NR_COMPONENTS = sizeof(components) / sizeof(components[0]) };

static uint64_t enabled(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return ((uint64_t)high << 32 | low) & 0xe7;
}

/* Runs the instruction with the state from one area and stores it in another. */
#define THROUGH(in, out, instruction, ...)                                               \
	do {                                                                             \
		uint64_t through_mask = enabled(), rax = through_mask, rcx = 0, rdx = 0; \
		__asm__ volatile("xsave64 (%[save])\n\t"                                 \
				 "xrstor64 (%[from])\n\t" instruction "\n\t"             \
				 "mov %[mask], %%rax\n\txor %%edx, %%edx\n\t"            \
				 "xsave64 (%[to])\n\t"                                   \
				 "xrstor64 (%[save])\n\t"                                \
				 : "+&a"(rax), "+&c"(rcx), "+&d"(rdx)                    \
				 : [save] "r"(ours), [from] "r"(in), [to] "r"(out),      \
				   [mask] "r"(through_mask), ##__VA_ARGS__               \
				 : "r11", "memory", "cc");                               \
	} while (0)

static void fill(uint8_t *area, unsigned seed)
{
	uint64_t mask = enabled();

	memset(area, 0, AREA_BYTES);
	*(uint16_t *)area = 0x37f;	   /* x87 control word */
	area[4] = 0xff;			   /* all eight registers are in use */
	*(uint32_t *)(area + 24) = 0x1fa0; /* MXCSR, with the precision flag */
	for (int i = 32; i < 416; i++)
		area[i] = seed * 7 + i;
	for (int i = 0; i < 8; i++) { /* 80 bits each, normal numbers */
		area[32 + i * 16 + 7] |= 0x80;
		area[32 + i * 16 + 9] = 0x40;
		memset(area + 32 + i * 16 + 10, 0, 6);
	}
	for (int i = 0; i < NR_COMPONENTS; i++) {
		uint32_t size, offset, flags, unused;

		if (!(mask >> components[i].component & 1))
			continue;
		__cpuid_count(0xd, components[i].component, size, offset, flags, unused);
		for (uint32_t byte = 0; byte < size; byte++)
			area[offset + byte] = seed * 11 + byte * 3 + i;
	}
	*(uint64_t *)(area + 512) = mask; /* XSTATE_BV */
}

static void check_same(const uint8_t *before, const uint8_t *now)
{
	uint64_t mask = enabled();

	CHECK_EQ(*(uint16_t *)now, *(const uint16_t *)before);
	CHECK_EQ(*(uint32_t *)(now + 24), *(const uint32_t *)(before + 24));
	for (int i = 0; i < 8; i++)
		if (memcmp(before + 32 + i * 16, now + 32 + i * 16, 10))
			FAIL("st%d changed", i);
	for (int i = 0; i < 16; i++)
		if (memcmp(before + 160 + i * 16, now + 160 + i * 16, 16))
			FAIL("xmm%d changed", i);
	for (int i = 0; i < NR_COMPONENTS; i++) {
		uint32_t size, offset, flags, unused;

		if (!(mask >> components[i].component & 1))
			continue;
		__cpuid_count(0xd, components[i].component, size, offset, flags, unused);
		if (memcmp(before + offset, now + offset, size))
			FAIL("%s changed", components[i].name);
	}
}

static void survives_a_hypercall(void)
{
	enter_dune();
	for (int i = 0; i < 20; i++) {
		fill(mine, i);
		THROUGH(mine, after, "mov $39, %%eax; syscall");
		check_same(mine, after);
	}
}

static void survives_an_ept_fault(void)
{
	char *pages;

	enter_dune();
	pages = map_pages(20, PROT_READ | PROT_WRITE);
	for (int i = 0; i < 20; i++) {
		fill(mine, i);
		THROUGH(mine, after, "movb $1, (%[page])", [page] "r"(pages + i * PAGE_BYTES));
		check_same(mine, after);
	}
}

static void on_breakpoint(struct dune_frame *frame)
{
	volatile double x = frame->rip;

	x = x * 1.5;
	memset(after, (int)x, sizeof(after));
}

static void *fill_late(void *late)
{
	static char page[LATE_PAGE];

	for (;;) {
		late_wait(late);
		__asm__ volatile("fninit; pxor %%xmm0, %%xmm0; pxor %%xmm15, %%xmm15" ::: "memory");
		late_fill(late, page);
	}
	return late;
}

/*
 * The thread sleeps in the fault, and another uses the registers meanwhile. One with
 * restartable sequences would see user mode next, which loads the registers for it.
 */
static void survives_a_fault_that_sleeps(void)
{
	struct late late;
	pthread_t thread;

	CHECK_OK(syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32,
			 RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
	late_userfault(&late);
	CHECK_EQ(pthread_create(&thread, NULL, fill_late, &late), 0);
	enter_dune();
	for (int i = 0; i < 20; i++) {
		CHECK_OK(madvise(late.pages + LATE_PAGE, LATE_PAGE, MADV_DONTNEED));
		fill(mine, i);
		THROUGH(mine, after, "movb $1, (%[page])", [page] "r"(late.pages + LATE_PAGE));
		check_same(mine, after);
	}
}

static volatile sig_atomic_t nr_signals;

static void on_signal(int number)
{
	(void)number;
	nr_signals++;
}

static struct late lates[2];

/* The thread is the process's first. */
static void *move_while_it_sleeps(void *unused)
{
	static char page[LATE_PAGE];
	pid_t thread = getpid();

	harness_run_on(0, 0);
	for (int seen = 0;; seen++) {
		late_wait(&lates[0]);
		harness_run_on(thread, 0);
		late_fill(&lates[0], page);
		late_wait(&lates[1]);
		harness_run_on(thread, 1);
		CHECK_OK(syscall(SYS_tgkill, thread, thread, SIGUSR1));
		while (nr_signals == seen)
			sched_yield();
		late_fill(&lates[1], page);
	}
	return unused;
}

/*
 * CPU 1 keeps what the thread had there when it fell asleep. It gets other values on CPU 0, and comes back
 * to CPU 1 by way of user mode, with nobody else having used the registers there.
 */
static void survives_moves_while_it_sleeps(void)
{
	static uint8_t other[AREA_BYTES] __attribute__((aligned(64)));
	pthread_t thread;

	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	CHECK_OK(syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32,
			 RSEQ_FLAG_UNREGISTER, RSEQ_SIG));
	for (int i = 0; i < 2; i++)
		late_userfault(&lates[i]);
	CHECK_EQ(pthread_create(&thread, NULL, move_while_it_sleeps, NULL), 0);
	enter_dune();
	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 10; i++) {
		for (int j = 0; j < 2; j++)
			CHECK_OK(madvise(lates[j].pages + LATE_PAGE, LATE_PAGE, MADV_DONTNEED));
		harness_run_on(0, 1);
		fill(mine, i);
		fill(other, i + 50);
		THROUGH(mine, after,
			"movb $1, (%[first])\n\t"
			"mov %[mask], %%rax\n\txor %%edx, %%edx\n\t"
			"xrstor64 (%[then])\n\t"
			"movb $1, (%[second])",
			[first] "r"(lates[0].pages + LATE_PAGE), [then] "r"(other),
			[second] "r"(lates[1].pages + LATE_PAGE));
		check_same(other, after);
	}
}

static void survives_a_handler_that_uses_it(void)
{
	enter_dune();
	CHECK_EQ(dune_set_handler(3, on_breakpoint, DUNE_SAVE_FPU), 0);
	fill(mine, 5);
	THROUGH(mine, after, "int3");
	check_same(mine, after);
}

/* Another process that never rests, with other values in all registers. */
static pid_t start_competitor(void)
{
	pid_t child = harness_fork();

	if (child)
		return child;
	fill(mine, 99);
	for (;;)
		THROUGH(mine, after, "nop");
}

static void survives_preemption(void)
{
	pid_t competitor = start_competitor();

	enter_dune();
	for (int i = 0; i < 4; i++) {
		fill(mine, i);
		THROUGH(mine, after, "mov $8000000, %%ecx; 1: dec %%ecx; jnz 1b");
		check_same(mine, after);
	}
	kill(competitor, SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(survives_a_hypercall),
		guest_test(survives_an_ept_fault),
		guest_test(survives_a_fault_that_sleeps),
		guest_test(survives_moves_while_it_sleeps),
		guest_test(survives_a_handler_that_uses_it),
		guest_test(survives_preemption),
	};

	return run_guest_tests(tests);
}
