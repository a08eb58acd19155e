// SPDX-License-Identifier: GPL-2.0-only
/*
 * A structure whose second half is not there yet makes only its caller wait.
 * Meanwhile everything else goes on, with the same vcpu, too; each byte of it is
 * fetched once; and who waits can be killed.
 */
#define _GNU_SOURCE
#include "late.h"
#include "raw.h"

#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>

union argument {
	struct dune_caps caps;
	struct dune_hold_kvm hold;
	struct dune_tile tile;
	struct dune_stats stats;
	struct dune_exits exits;
	struct dune_state state;
};

/*
 * Every call that has a structure. Each is made so that it succeeds, but for
 * DUNE_HOLD_KVM, whose descriptor is not KVM's. What is read of it one instruction
 * reads, so that nothing comes between two halves.
 */
static const struct call {
	const char *name;
	unsigned long number;
	size_t bytes;
	int on_vcpu, error, has_halves;
} calls[] = {
	{ "GET_CAPS", DUNE_GET_CAPS, sizeof(struct dune_caps), 0, 0, 0 },
	{ "HOLD_KVM", DUNE_HOLD_KVM, sizeof(struct dune_hold_kvm), 0, EINVAL, 0 },
	{ "SET_TILE", DUNE_SET_TILE, sizeof(struct dune_tile), 0, 0, 1 },
	{ "GET_STATS", DUNE_GET_STATS, sizeof(struct dune_stats), 0, 0, 0 },
	{ "GET_STATS of a vcpu", DUNE_GET_STATS, sizeof(struct dune_stats), 1, 0, 0 },
	{ "GET_STATE", DUNE_GET_STATE, sizeof(struct dune_state), 1, 0, 1 },
	{ "SET_STATE", DUNE_SET_STATE, sizeof(struct dune_state), 1, 0, 1 },
	{ "GET_EXITS", DUNE_GET_EXITS, sizeof(struct dune_exits), 0, 0, 0 },
	{ "GET_EXITS of a vcpu", DUNE_GET_EXITS, sizeof(struct dune_exits), 1, 0, 0 },
};
enum { NR_CALLS = sizeof(calls) / sizeof(calls[0]) };

static struct raw raw;
static struct late late;

/* The call that waits, in a thread. */
static const struct call *call;
static void *argument;
static int result;

static void *make_call(void *unused)
{
	result = ioctl(call->on_vcpu ? raw.vcpu : raw.device, call->number, argument) ? errno : 0;
	return unused;
}

static union argument good_argument(void)
{
	union argument good;

	memset(&good, 0, sizeof(good));
	switch (call->number) {
	case DUNE_HOLD_KVM:
		good.hold.kvm_vm_fd = raw.device;
		break;
	case DUNE_SET_TILE:
		good.tile.tile = 3;
		good.tile.hva = (uintptr_t)&raw & -(1ul << DUNE_TILE_SHIFT);
		break;
	case DUNE_GET_STATE:
		good.state.groups = DUNE_STATE_ALL;
		break;
	case DUNE_SET_STATE:
		good.state = raw_state(&raw);
		good.state.gpr[DUNE_RBX] = 41;
		break;
	}
	return good;
}

/* Half of it, in whole words, before the page that comes late. */
static size_t first_half(void)
{
	return call->bytes / 2 & -sizeof(uint32_t);
}

static pthread_t start_call(const struct call *which, void (*open_late)(struct late *))
{
	union argument good;
	pthread_t thread;

	call = which;
	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	good = good_argument();
	open_late(&late);
	argument = late.pages + LATE_PAGE - first_half();
	memcpy(argument, &good, first_half());
	CHECK_EQ(pthread_create(&thread, NULL, make_call, NULL), 0);
	late_wait(&late);
	return thread;
}

static void finish_call(pthread_t thread)
{
	static char page[LATE_PAGE];
	union argument good = good_argument();

	memcpy(page, (char *)&good + first_half(), call->bytes - first_half());
	late_fill(&late, page);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	if (result != call->error)
		FAIL("%s: errno %d, not %d", call->name, result, call->error);
}

/* Had a lock been held, this would not end. */
static void everything_else_goes_on(void)
{
	struct dune_tile tile = { .tile = 9, .flags = DUNE_TILE_CLEAR };
	struct dune_state state = { .groups = DUNE_STATE_ALL };
	struct dune_hold_kvm hold = { .kvm_vm_fd = raw.device };
	struct dune_stats stats;
	struct dune_run *run;
	struct raw other;

	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &state));
	CHECK_OK(ioctl(raw.vcpu, DUNE_SET_STATE, &state));
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATS, &stats));
	CHECK_OK(ioctl(raw.device, DUNE_GET_STATS, &stats));
	CHECK_OK(ioctl(raw.device, DUNE_FLUSH_TLB, 0));
	CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), ENOENT);
	CHECK_ERRNO(ioctl(raw.device, DUNE_HOLD_KVM, &hold), EINVAL);
	close(raw_create_vcpu(&raw, &run));
	raw_create(&other);
	raw_load(&other, raw_count, 0, 0);
	CHECK_EQ(raw_run(&other), DUNE_EXIT_HYPERCALL);
	close(other.vcpu);
	close(other.device);
}

static void check_result(void)
{
	const struct dune_caps *caps = argument;
	const struct dune_state *state = argument;

	if (call->number == DUNE_GET_CAPS)
		CHECK_EQ(caps->abi_version, DUNE_ABI_VERSION);
	if (call->number == DUNE_GET_STATE)
		CHECK_EQ(state->tss_limit, 0x67);
	if (call->number == DUNE_SET_STATE) {
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.run->gpr[DUNE_RBX], 42);
	}
}

/* In a child each, for a new vm and an end whatever happens. */
static void with_every_call(void (*test)(const struct call *))
{
	for (int i = 0; i < NR_CALLS; i++) {
		pid_t child = harness_fork();

		if (!child) {
			test(&calls[i]);
			_exit(0);
		}
		if (harness_wait(child))
			FAIL("%s", calls[i].name);
	}
}

static void wait_for_memory(const struct call *which)
{
	pthread_t thread = start_call(which, late_userfault);

	everything_else_goes_on();
	finish_call(thread);
	check_result();
}

static void nobody_else_waits(void)
{
	with_every_call(wait_for_memory);
}

static void open_file(struct late *file)
{
	TEST_REQUIRE(late_file(file), "the kernel has no FUSE");
}

static void wait_for_file(const struct call *which)
{
	pthread_t thread = start_call(which, open_file);

	everything_else_goes_on();
	finish_call(thread);
	check_result();
}

static void nobody_else_waits_for_a_file(void)
{
	struct late probe;

	open_file(&probe);
	with_every_call(wait_for_file);
}

/* Only the way out waits: the module has done its work by then. */
static void nobody_else_waits_for_a_result(void)
{
	pthread_t thread;

	call = &calls[5];
	CHECK_EQ(call->number, DUNE_GET_STATE);
	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	late_write(&late);
	argument = late.pages + LATE_PAGE - 8;
	((struct dune_state *)argument)->groups = DUNE_STATE_ALL;
	CHECK_EQ(pthread_create(&thread, NULL, make_call, NULL), 0);
	late_wait(&late);
	everything_else_goes_on();
	late_fill(&late, NULL);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(result, 0);
	check_result();
	/* It is what was there before the vcpu ran on. */
	CHECK_EQ(((struct dune_state *)argument)->gpr[DUNE_RBX], 0);
}

/* What is fetched twice would be fetched after this. */
static void spoil_first_half(const struct call *which)
{
	pthread_t thread;

	if (!which->has_halves)
		return;
	thread = start_call(which, late_userfault);
	memset(argument, 0xff, first_half());
	finish_call(thread);
	check_result();
}

static void each_byte_is_fetched_once(void)
{
	with_every_call(spoil_first_half);
}

static void who_waits_can_be_killed(void)
{
	int ready[2];
	char byte;

	CHECK_OK(pipe(ready));
	for (int i = 0; i < NR_CALLS; i++) {
		pid_t child = harness_fork();

		if (!child) {
			start_call(&calls[i], late_userfault);
			CHECK_EQ(write(ready[1], "", 1), 1);
			pause();
		}
		CHECK_EQ(read(ready[0], &byte, 1), 1);
		CHECK_OK(kill(child, SIGKILL));
		CHECK_EQ(harness_wait(child), 128 + SIGKILL);
	}
	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	everything_else_goes_on();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(nobody_else_waits),
		guest_test(nobody_else_waits_for_a_file),
		guest_test(nobody_else_waits_for_a_result),
		guest_test(each_byte_is_fetched_once),
		guest_test(who_waits_can_be_killed),
	};

	return run_guest_tests(tests);
}
