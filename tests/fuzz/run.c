// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running a random guest, and what must be true afterwards: of the reason that
 * it gives, and of the thread that it ran in. See fuzzer.h.
 */
#define _GNU_SOURCE
#include "fuzzer.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { MAX_TURNS = 6 };

/* ---- Before ---------------------------------------------------------------------- */

static bool set_state(struct fuzzer *fuzzer, struct object *vcpu)
{
	struct dune_state state =
		random_guest_state(&fuzzer->random, fuzzer->memory, &fuzzer->world->limits);
	long result = ioctl(atomic_load(&vcpu->fd), DUNE_SET_STATE, &state);

	now_calling(fuzzer, "DUNE_SET_STATE for a guest");
	expect(fuzzer, result, true, ERRNO_SET(0));
	return !result;
}

/* Mostly one that is fine. Returns what is there to be taken. */
static uint32_t set_injection(struct fuzzer *fuzzer, struct dune_run *run)
{
	static const uint32_t with_error =
		1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17;
	uint32_t vector = random_below(&fuzzer->random, 32);
	volatile struct dune_run *page = run;

	if (random_one_in(&fuzzer->random, 8)) {
		page->inject_error = random_below(&fuzzer->random, 0x8000);
		page->inject_cr2 = random_value(&fuzzer->random);
		page->inject = DUNE_INJECT_VALID | vector |
			       (with_error >> vector & 1 ? DUNE_INJECT_ERROR : 0);
		if (random_one_in(&fuzzer->random, 4))
			page->inject = random_value(&fuzzer->random);
	}
	return page->inject;
}

/* The thread has bases of its own, which the guest must not take along. */
static void set_gs_base(struct fuzzer *fuzzer)
{
	uint64_t base = random_bits(&fuzzer->random) & 0x7fffffffefff;

	if (random_one_in(&fuzzer->random, 4))
		syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}

/* ---- After ------------------------------------------------------------------------- */

/* Whether the process could have made the access itself. */
static bool process_can(struct fuzzer *fuzzer, uint64_t hva, bool write_to)
{
	int *ends = fuzzer->world->pipe;
	char byte = 0;

	if (!write_to) {
		if (write(ends[1], (void *)hva, 1) != 1)
			return false;
		return read(ends[0], &byte, 1) == 1;
	}
	if (write(ends[1], &byte, 1) != 1)
		return false;
	if (read(ends[0], (void *)hva, 1) == 1)
		return true;
	while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
		;
	return false;
}

static void check_memory_exit(struct fuzzer *fuzzer, const struct object *vcpu,
			      const struct dune_run *run)
{
	uint64_t tile = run->memory_gpa >> DUNE_TILE_SHIFT, shown = 0;
	uint32_t access = run->memory_access;

	if (tile < MODEL_TILES - 1)
		shown = vcpu->vm->shown[tile];
	else if (tile == fuzzer->world->limits.caps.nr_tiles - 1)
		shown = vcpu->vm->shown[MODEL_TILES - 1];

	if (!shown != !!(access & DUNE_ACCESS_NO_TILE))
		fuzzer_fail(fuzzer, "gpa %#llx: the tile %s shown, access %#x",
			    (unsigned long long)run->memory_gpa, shown ? "is" : "is not", access);
	if (!shown)
		return;
	if (run->memory_hva != shown - 1 + run->memory_gpa % PIECE_BYTES)
		fuzzer_fail(fuzzer, "gpa %#llx became hva %#llx",
			    (unsigned long long)run->memory_gpa,
			    (unsigned long long)run->memory_hva);
	/* Execution is not ours to try. */
	if (!(access & DUNE_ACCESS_EXEC) &&
	    process_can(fuzzer, run->memory_hva, access & DUNE_ACCESS_WRITE))
		fuzzer_fail(fuzzer, "the process can access %#llx (access %#x)",
			    (unsigned long long)run->memory_hva, access);
}

static void check_reason(struct fuzzer *fuzzer, const struct object *vcpu,
			 const struct dune_run *run, long reason)
{
	if (reason > DUNE_EXIT_SHUTDOWN)
		fuzzer_fail(
			fuzzer,
			"exit reason %ld: hardware reason %u, error %u, rip %#llx, qualification %#llx",
			reason, run->hardware_reason, run->entry_error,
			(unsigned long long)run->rip, (unsigned long long)run->qualification);
	fuzzer->exits[reason]++;
	if (fuzzer->world->exact && run->exit_reason != reason)
		fuzzer_fail(fuzzer, "returned %ld, but the page says %u", reason, run->exit_reason);
	if (fuzzer->world->exact && reason == DUNE_EXIT_MEMORY)
		check_memory_exit(fuzzer, vcpu, run);
}

/* ---- Running ------------------------------------------------------------------------- */

static long run_once(struct fuzzer *fuzzer, int fd)
{
	struct host_state before, after;
	const char *difference;
	long reason;
	int error;

	host_state_read(&before);
	if (random_one_in(&fuzzer->random, 2))
		reason = lseek(fd, 0, SEEK_SET);
	else
		reason = ioctl(fd, DUNE_RUN, 0);
	error = errno;
	host_state_reset_vector();
	host_state_read(&after);
	difference = host_state_compare(&before, &after);
	if (difference)
		fuzzer_fail(fuzzer, "%s changed", difference);
	if (fuzzer->world->exact && random_one_in(&fuzzer->random, 4) && !host_watch_works())
		fuzzer_fail(fuzzer, "the debug registers changed");
	fuzzer->runs++;
	errno = error;
	return reason;
}

/* run: the vcpu's, which another thread may take out of it, but not unmap. */
static void run_vcpu(struct fuzzer *fuzzer, struct object *vcpu, struct dune_run *run)
{
	unsigned interrupts = 0;

	for (unsigned turn = 0; turn < MAX_TURNS; turn++) {
		uint32_t inject = set_injection(fuzzer, run);
		long reason;

		now_calling(fuzzer, "run %u, inject %#x", turn, inject);
		reason = run_once(fuzzer, atomic_load(&vcpu->fd));
		expect(fuzzer, reason, true,
		       inject ? ERRNO_SET(EINVAL, ENOMEM) : ERRNO_SET(ENOMEM));
		if (reason < 0)
			return;
		/* In a world that is not exact the descriptor may be anything. */
		if (fuzzer->world->exact || reason <= DUNE_EXIT_UNKNOWN)
			check_reason(fuzzer, vcpu, run, reason);
		if (reason == DUNE_EXIT_INTR && ++interrupts == 2)
			return; /* it spins */
		if (reason != DUNE_EXIT_INTR && random_one_in(&fuzzer->random, 2))
			return;
	}
}

static struct object *find_vcpu(struct fuzzer *fuzzer)
{
	struct object *vm, *vcpu = pick_kind(fuzzer, KIND_VCPU);

	if (vcpu)
		return vcpu;
	vm = pick_kind(fuzzer, KIND_VM);
	/* Without a hold on VMX a vm has no vcpus: try others. */
	if (vm && !random_one_in(&fuzzer->random, 4))
		create_vcpu(fuzzer, vm);
	else
		open_vm(fuzzer);
	return NULL;
}

void run_guest(struct fuzzer *fuzzer)
{
	struct object *vcpu = find_vcpu(fuzzer), *vm = pick_kind(fuzzer, KIND_VM);
	struct dune_run *run;

	if (!vcpu)
		return;
	run = vcpu->run;
	if (!run)
		return;
	if (vm)
		set_tile_of_guest(fuzzer, vm);
	if (!vcpu->has_state || !random_one_in(&fuzzer->random, 8)) {
		random_guest_write(&fuzzer->random, fuzzer->memory, &fuzzer->world->limits);
		if (!set_state(fuzzer, vcpu))
			return;
		vcpu->has_state = true;
	}
	set_gs_base(fuzzer);
	run_vcpu(fuzzer, vcpu, run);
}
