// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another thread changes a structure, the run page or a descriptor while the
 * module looks at it: what comes of it is what one of the values would have
 * given, never a mixture, and nothing is used but what was checked. With one CPU
 * it is preemption that brings the two together; device_arguments_may_come_late.c
 * does so at will.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* In each pair of values one byte differs, so that no third one can be seen. */
#define NOT_CANONICAL (1ull << 47)

/* DUNE_RACES multiplies the number of rounds. */
static int rounds(void)
{
	return 3000 * atoi(getenv("DUNE_RACES") ?: "1");
}

/* ---- The other thread: turns a word into something else and back ------------- */

static volatile uint64_t *word;
static uint64_t one, other;
static volatile int stop;

static void *flip(void *unused)
{
	while (!stop) {
		for (int i = 0; i < 1000; i++) {
			*word = one;
			*word = other;
		}
		sched_yield();
	}
	return unused;
}

static pthread_t start_flipping(void *where, uint64_t first, uint64_t second)
{
	pthread_t thread;

	word = where;
	one = first;
	other = second;
	stop = 0;
	CHECK_EQ(pthread_create(&thread, NULL, flip, NULL), 0);
	return thread;
}

static void stop_flipping(pthread_t thread)
{
	stop = 1;
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* Makes a call again and again: it succeeds, or fails with one of the errors. */
struct tally {
	int good, bad;
};

static void count(struct tally *tally, int result, int error, int other_error)
{
	if (result < 0 && errno != error && errno != other_error)
		FAIL("errno %d (%s)", errno, strerror(errno));
	if (result < 0)
		tally->bad++;
	else
		tally->good++;
}

static void note(const char *what, const struct tally *tally)
{
	harness_note("%s: %d accepted, %d refused", what, tally->good, tally->bad);
}

/* ---- Tests --------------------------------------------------------------------- */

static struct raw raw;

/* Whatever state was accepted runs. */
static void race_state(const char *name, size_t offset, uint64_t good, uint64_t bad)
{
	struct tally tally = { 0 };
	struct dune_state state = raw_state(&raw);
	pthread_t thread = start_flipping((char *)&state + offset, good, bad);

	for (int i = 0; i < rounds(); i++) {
		int result = ioctl(raw.vcpu, DUNE_SET_STATE, &state);

		count(&tally, result, EINVAL, EINVAL);
		if (!result)
			CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		if (i % 16 == 0)
			sched_yield();
	}
	stop_flipping(thread);
	note(name, &tally);
}

static void a_state_that_changes(void)
{
	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	race_state("rip", offsetof(struct dune_state, rip), RAW_CODE, RAW_CODE | NOT_CANONICAL);
	race_state("rflags", offsetof(struct dune_state, rflags), 0x202, 0x20202);
	race_state("cs, ss", offsetof(struct dune_state, cs), DUNE_SEL_CODE0 | DUNE_SEL_DATA0 << 16,
		   DUNE_SEL_CODE3 | DUNE_SEL_DATA0 << 16);
	race_state("cr4", offsetof(struct dune_state, cr4), 0x620, 0x620 | 1ull << 31);
}

static void groups_that_change(void)
{
	struct dune_state state;
	pthread_t thread;
	int regs = 0, system = 0;

	raw_create(&raw);
	memset(&state, 0, sizeof(state));
	thread = start_flipping(&state.groups, DUNE_STATE_REGS, DUNE_STATE_SYSTEM);
	for (int i = 0; i < rounds(); i++) {
		state.groups = DUNE_STATE_REGS; /* until the other thread runs */
		CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &state));
		/* One group was read, and the other one is zero. */
		CHECK_EQ(!state.rip, !!state.tss_limit);
		CHECK_EQ(!state.rip, !state.rflags);
		regs += !!state.rip;
		system += !state.rip;
		if (i % 16 == 0)
			sched_yield();
	}
	stop_flipping(thread);
	harness_note("%d times registers, %d times tables", regs, system);
}

/* A tile shows a piece of the process, or nothing; never what was refused. */
static void race_tile(const char *name, struct dune_tile *tile, void *where, uint64_t good,
		      uint64_t bad)
{
	struct dune_tile clear = { .tile = 1, .flags = DUNE_TILE_CLEAR };
	struct tally tally = { 0 };
	pthread_t thread = start_flipping(where, good, bad);

	for (int i = 0; i < rounds(); i++) {
		int result = ioctl(raw.device, DUNE_SET_TILE, tile);

		count(&tally, result, EINVAL, EINVAL);
		if (!result)
			CHECK_OK(ioctl(raw.device, DUNE_SET_TILE, &clear));
		if (i % 16 == 0)
			sched_yield();
	}
	stop_flipping(thread);
	note(name, &tally);
}

static void a_tile_that_changes(void)
{
	uint64_t hva = (uintptr_t)&raw & -(1ull << DUNE_TILE_SHIFT);
	struct dune_tile tile = { .tile = 1, .hva = hva };

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	race_tile("hva", &tile, &tile.hva, hva, hva | 1ull << 63);
	tile.hva = hva;
	/* Number and flags are one word. */
	race_tile("tile", &tile, &tile.tile, 1, 1 | 1u << 31);
	tile.tile = 1;
	tile.flags = 0;
	race_tile("flags", &tile, &tile.tile, 1, 1 | (uint64_t)DUNE_TILE_CLEAR << 32);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

/* A descriptor may turn into another between any two looks. */
static int shifting_fd, pipe_fd, memory_fd;

static void *change_descriptor(void *unused)
{
	while (!stop) {
		dup2(pipe_fd, shifting_fd);
		close(shifting_fd);
		dup2(memory_fd, shifting_fd);
		sched_yield();
	}
	return unused;
}

static void a_descriptor_that_changes(void)
{
	struct dune_hold_kvm hold = { 0 };
	struct tally tally = { 0 };
	pthread_t thread;
	int device = CHECK_OK(open("/dev/dune", O_RDWR | O_CLOEXEC)), fds[2];

	CHECK_OK(pipe(fds));
	pipe_fd = fds[0];
	memory_fd = CHECK_OK(memfd_create("kvm-vm", 0));
	shifting_fd = CHECK_OK(dup(memory_fd));
	hold.kvm_vm_fd = shifting_fd;
	CHECK_EQ(pthread_create(&thread, NULL, change_descriptor, NULL), 0);
	for (int i = 0; i < rounds(); i++) {
		count(&tally, ioctl(device, DUNE_HOLD_KVM, &hold), EINVAL, EBADF);
		if (i % 16 == 0)
			sched_yield();
	}
	stop_flipping(thread);
	CHECK_EQ(tally.good, 0);
}

/* The injection is in the run page, which is anybody's. */
static void an_injection_that_changes(void)
{
	struct tally tally = { 0 };
	pthread_t thread;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	/* #UD, and an NMI of that number. */
	thread = start_flipping(&raw.run->inject, DUNE_INJECT_VALID | 6,
				DUNE_INJECT_VALID | 2 << 8 | 6);
	for (int i = 0; i < rounds(); i++) {
		long reason;

		raw_load(&raw, raw_count, 0, 0);
		reason = raw_run(&raw);
		/* There is no IDT: delivered, it is a triple fault. */
		if (reason != DUNE_EXIT_SHUTDOWN && reason != -EINVAL &&
		    reason != DUNE_EXIT_HYPERCALL)
			FAIL("reason %ld", reason);
		if (reason == -EINVAL)
			tally.bad++;
		else
			tally.good++;
		if (i % 16 == 0)
			sched_yield();
	}
	stop_flipping(thread);
	note("injection", &tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(a_state_that_changes, 120),
		guest_test_limit(groups_that_change, 120),
		guest_test_limit(a_tile_that_changes, 120),
		guest_test_limit(a_descriptor_that_changes, 120),
		guest_test_limit(an_injection_that_changes, 120),
	};

	return run_guest_tests(tests);
}
