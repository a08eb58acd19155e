// SPDX-License-Identifier: GPL-2.0-only
/*
 * One random call for each step: which, and those on any descriptor. The others are in
 * vm_calls.c, vcpu_calls.c and run.c.
 */
#define _GNU_SOURCE
#include "calls.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* ---- Calls on any descriptor ------------------------------------------------------------- */

/* Numbers near ours; those that the kernel answers itself for each file are others. */
static void call_unknown_number(struct fuzzer *fuzzer)
{
	static const unsigned long known[] = {
		DUNE_GET_CAPS,	DUNE_HOLD_KVM,	DUNE_SET_TILE, DUNE_CREATE_VCPU, DUNE_FLUSH_TLB,
		DUNE_GET_STATS, DUNE_GET_EXITS, DUNE_RUN,      DUNE_GET_STATE,	 DUNE_SET_STATE,
	};
	const unsigned nr_known = sizeof(known) / sizeof(known[0]);
	unsigned long number = known[random_below(&fuzzer->random, nr_known)];
	struct argument argument;
	char bytes[256] = { 0 };

	do
		number ^= 1ul << random_below(&fuzzer->random, 32);
	while ((number & 0xff00) != 0xde00 || random_one_in(&fuzzer->random, 2));
	for (unsigned i = 0; i < nr_known; i++)
		if (number == known[i])
			return;
	argument = random_argument(fuzzer, bytes, sizeof(bytes));
	call_misfit(fuzzer, pick_object(fuzzer), 0, number, argument.pointer);
}

static void call_something_else(struct fuzzer *fuzzer)
{
	struct object *object = pick_object(fuzzer);
	int fd = atomic_load(&object->fd);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN | POLLOUT };
	char byte = 0;

	if (fd < 0 || object->kind == KIND_OTHER)
		return;
	now_calling(fuzzer, "read, write and such of a %s", kind_names[object->kind]);
	switch (random_below(&fuzzer->random, 6)) {
	case 0:
		expect(fuzzer, read(fd, &byte, 1), false, ERRNO_SET(EINVAL));
		break;
	case 1:
		expect(fuzzer, write(fd, &byte, 1), false, ERRNO_SET(EINVAL));
		break;
	case 2:
		expect(fuzzer, ftruncate(fd, random_value(&fuzzer->random)), false,
		       ERRNO_SET(EINVAL));
		break;
	case 3:
		expect(fuzzer, poll(&poll_fd, 1, 0), true, ERRNO_SET(0));
		break;
	case 4:
		expect(fuzzer, fcntl(fd, F_SETFL, O_NONBLOCK), true, ERRNO_SET(0));
		break;
	case 5:
		expect(fuzzer, fcntl(fd, F_SETFD, FD_CLOEXEC), true, ERRNO_SET(0));
		break;
	}
}

static void duplicate(struct fuzzer *fuzzer)
{
	struct object *object = pick_object(fuzzer), *copy;
	struct dune_run *run = NULL;
	int fd = atomic_load(&object->fd);

	now_calling(fuzzer, "dup");
	if (fd < 0 || object->kind == KIND_OTHER || !(copy = reserve_object(fuzzer)))
		return;
	fd = dup(fd);
	expect(fuzzer, fd, true, ERRNO_SET(0));
	if (fd < 0) {
		atomic_store(&copy->fd, OBJECT_EMPTY);
		return;
	}
	if (object->kind == KIND_VCPU) {
		run = mmap(NULL, DUNE_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		run = run == MAP_FAILED ? NULL : run;
	}
	fill_object(copy, fd, object->kind, object->vm, run);
	copy->has_state = object->has_state;
}

static void close_one(struct fuzzer *fuzzer)
{
	struct object *object = pick_object(fuzzer);

	now_calling(fuzzer, "close");
	if (object->kind != KIND_OTHER)
		close_object(fuzzer, object);
}

static void open_one(struct fuzzer *fuzzer)
{
	open_vm(fuzzer);
}

/* What others read at this moment: arguments, and the run page. */
static void scribble(struct fuzzer *fuzzer)
{
	struct object *object = pick_kind(fuzzer, KIND_VCPU);
	struct dune_run *run = object ? object->run : NULL;
	uint32_t *shared = (uint32_t *)(fuzzer->world->scratch + NR_THREADS * 4 * 4096);

	for (unsigned i = 0; i < 16; i++)
		shared[random_below(&fuzzer->random, 128)] = random_value(&fuzzer->random);
	if (run)
		((volatile uint32_t *)run)[random_below(&fuzzer->random, 1024)] =
			random_value(&fuzzer->random);
}

/* ---- Which -------------------------------------------------------------------------------- */

static const struct {
	unsigned weight;
	void (*make)(struct fuzzer *fuzzer);
} calls[] = {
	{ 40, run_guest },	  { 10, call_get_caps },
	{ 10, call_get_counts },  { 10, call_hold_kvm },
	{ 20, call_set_tile },	  { 10, call_create_vcpu },
	{ 6, call_flush_tlb },	  { 15, call_get_state },
	{ 20, call_set_state },	  { 10, map_run_page },
	{ 10, call_run_wrongly }, { 15, call_unknown_number },
	{ 10, scribble },	  { 10, call_something_else },
	{ 6, duplicate },	  { 6, close_one },
	{ 5, open_one },	  { 20, change_mappings },
	{ 4, pass_to_stranger },  { 1, call_from_fork_child },
};

void fuzzer_step(struct fuzzer *fuzzer)
{
	static unsigned total;
	unsigned chosen, i;

	/* Whatever the last step drew: that may depend on when it was interrupted. */
	fuzzer->random.state =
		fuzzer->world->seed ^ (uint64_t)fuzzer->thread << 56 ^ fuzzer->step << 24;
	fuzzer->random.state = random_bits(&fuzzer->random);

	if (!total) {
		unsigned sum = 0;

		for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
			sum += calls[i].weight;
		total = sum;
	}
	chosen = random_below(&fuzzer->random, total);
	for (i = 0; chosen >= calls[i].weight; i++)
		chosen -= calls[i].weight;
	calls[i].make(fuzzer);
	fuzzer->step++;
}
