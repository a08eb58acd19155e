// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads inside read and write memory whose mappings threads outside change all
 * the time; each finds what the other has left. The random numbers start from
 * $DUNE_STRESS_SEED, which is printed, and it goes on for $DUNE_TEST_SECONDS.
 *
 * The memory is an array of slots of one page, in two zones: one anonymous, which
 * has huge pages as long as nobody splits them, and one of a shared file. A slot
 * has a lock and a note of what must be there. Who holds the lock may change the
 * mapping, the rights or the contents, and notes it; who takes it next, inside or
 * outside, compares. What must not show (reclaim, a collapse into a huge page, a
 * fork, a child that writes) is done to any slots without a lock, at any moment.
 */
#define _GNU_SOURCE
#include "memory.h"
#include "random.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

enum { ANONYMOUS = 1024, SHARED = 128, NR_SLOTS = ANONYMOUS + SHARED };
enum { NR_INSIDE = 2, WORDS = PAGE_BYTES / sizeof(uint64_t) };

struct slot {
	atomic_uint lock;
	int prot;	/* as the mapping has it */
	uint64_t value; /* each of the words that stamp() writes; 0: nobody has written yet */
};

static struct slot slots[NR_SLOTS];
static char *anonymous, *shared, *staging;
static int file;
static uint64_t seed;
static atomic_bool stop;
static atomic_ulong nr_changes, nr_looks_inside, nr_looks_outside, nr_faults, nr_forks;
static atomic_uint nr_running;

static struct random random_of_thread(unsigned number)
{
	return (struct random){ seed ^ (uint64_t)number << 56 };
}

/* ---- Slots ---- */

static char *address_of(unsigned slot)
{
	return slot < ANONYMOUS ? anonymous + slot * PAGE_BYTES
				: shared + (slot - ANONYMOUS) * PAGE_BYTES;
}

/* Values tell their slot, so that a page in the wrong place is seen at once. */
static uint64_t new_value(unsigned slot, struct random *random)
{
	return (uint64_t)(slot + 1) << 48 | (random_bits(random) & 0xffffffffffff);
}

static bool try_lock(struct slot *slot)
{
	return !atomic_exchange(&slot->lock, 1);
}

static void unlock(struct slot *slot)
{
	atomic_store(&slot->lock, 0);
}

/* A random slot that nobody else has, locked. */
static unsigned take_slot(struct random *random, unsigned first, unsigned nr)
{
	for (;;) {
		unsigned slot = first + random_below(random, nr);

		if (try_lock(&slots[slot]))
			return slot;
		sched_yield();
	}
}

/* First, last, and one in the middle that depends on the value. */
static void stamp(unsigned slot, uint64_t value)
{
	volatile uint64_t *words = (uint64_t *)address_of(slot);

	words[0] = value;
	words[1 + value % (WORDS - 2)] = value;
	words[WORDS - 1] = value;
	slots[slot].value = value;
}

static void compare(unsigned slot, const volatile uint64_t *words, const char *where)
{
	uint64_t value = slots[slot].value, found = words[0];

	if (found == value && value)
		found = words[1 + value % (WORDS - 2)];
	if (found == value)
		found = words[WORDS - 1];
	if (found != value)
		FAIL("seed %lu, %s, slot %u: %#lx is read, %#lx is there", seed, where, slot, found,
		     value);
}

/* ---- Inside ---- */

static void look_inside(unsigned slot, struct random *random)
{
	volatile char *address = address_of(slot);
	int prot = slots[slot].prot;

	if (probe_read(address) != (prot & PROT_READ ? 0 : -1))
		FAIL("seed %lu, slot %u: rights %d, and reading it %s", seed, slot, prot,
		     prot & PROT_READ ? "faults" : "does not fault");
	if (prot & PROT_READ)
		compare(slot, (volatile uint64_t *)address, "inside");
	else
		nr_faults++;
	if (random_below(random, 3))
		return;
	if (prot & PROT_WRITE) {
		stamp(slot, new_value(slot, random));
	} else if (probe_write(address, 0x55) != -1) {
		FAIL("seed %lu, slot %u: rights %d, and it was written", seed, slot, prot);
	}
}

/* Without a lock: whatever is read, it must be of this slot. */
static void glance(unsigned slot)
{
	struct probe_load load = probe_load(address_of(slot));

	if (!load.fault && load.value && load.value >> 48 != slot + 1)
		FAIL("seed %lu: slot %u shows %#lx", seed, slot, load.value);
}

static void *work_inside(void *number)
{
	struct random random = random_of_thread((uintptr_t)number);

	nr_running++;
	while (!atomic_load(&stop)) {
		unsigned slot = take_slot(&random, 0, NR_SLOTS);

		look_inside(slot, &random);
		unlock(&slots[slot]);
		for (int i = 0; i < 4; i++)
			glance(random_below(&random, NR_SLOTS));
		nr_looks_inside++;
	}
	nr_running--;
	return NULL;
}

/* ---- Outside: changes of one slot, which is locked ---- */

static void set_rights(unsigned slot, int prot)
{
	CHECK_OK(mprotect(address_of(slot), PAGE_BYTES, prot));
	slots[slot].prot = prot;
}

/* A new page of zeros in its place, at once. */
static void map_anew(unsigned slot)
{
	char *address = address_of(slot);

	CHECK(mmap(address, PAGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == address);
	slots[slot].prot = PROT_READ | PROT_WRITE;
	slots[slot].value = 0;
}

/* A page that was written elsewhere, with nothing in its place for a moment. */
static void move_in(unsigned slot, struct random *random)
{
	char *address = address_of(slot);
	uint64_t value = new_value(slot, random);
	volatile uint64_t *words = (uint64_t *)staging;

	CHECK(mmap(staging, PAGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == staging);
	words[0] = words[1 + value % (WORDS - 2)] = words[WORDS - 1] = value;
	CHECK(mremap(staging, PAGE_BYTES, PAGE_BYTES,
		     MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, address) == address);
	slots[slot].prot = PROT_READ | PROT_WRITE;
	slots[slot].value = value;
}

static void throw_away(unsigned slot)
{
	CHECK_OK(madvise(address_of(slot), PAGE_BYTES, MADV_DONTNEED));
	slots[slot].value = 0;
}

static void write_outside(unsigned slot, struct random *random)
{
	if (slots[slot].prot & PROT_WRITE)
		stamp(slot, new_value(slot, random));
}

static void change_rights(unsigned slot, struct random *random)
{
	static const int rights[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };

	set_rights(slot, rights[random_below(random, 3)]);
}

static void change_anonymous(unsigned slot, struct random *random)
{
	switch (random_below(random, 6)) {
	case 0:
		map_anew(slot);
		break;
	case 1:
		move_in(slot, random);
		break;
	case 2:
		throw_away(slot);
		break;
	case 3:
	case 4:
		change_rights(slot, random);
		break;
	default:
		write_outside(slot, random);
	}
}

/* By way of the file, or of the mapping. */
static void change_shared(unsigned slot, struct random *random)
{
	off_t at = (slot - ANONYMOUS) * PAGE_BYTES;
	uint64_t value = 0;

	switch (random_below(random, 5)) {
	case 0:
		CHECK_OK(fallocate(file, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, at,
				   PAGE_BYTES));
		slots[slot].value = 0;
		break;
	case 1:
		value = new_value(slot, random);
		CHECK_EQ(pwrite(file, &value, 8, at), 8);
		CHECK_EQ(pwrite(file, &value, 8, at + 8 * (1 + value % (WORDS - 2))), 8);
		CHECK_EQ(pwrite(file, &value, 8, at + 8 * (WORDS - 1)), 8);
		slots[slot].value = value;
		break;
	case 2:
		CHECK_OK(madvise(address_of(slot), PAGE_BYTES, MADV_DONTNEED)); /* of no effect */
		break;
	case 3:
		change_rights(slot, random);
		break;
	default:
		write_outside(slot, random);
	}
}

/* By a system call, whatever the rights; so that nothing faults out here. */
static void look_outside(unsigned slot)
{
	uint64_t words[WORDS];
	struct iovec to = { words, sizeof(words) }, from = { address_of(slot), sizeof(words) };

	if (slots[slot].prot & PROT_READ) {
		CHECK_EQ(process_vm_readv(getpid(), &to, 1, &from, 1, 0), sizeof(words));
		compare(slot, words, "outside");
	}
	nr_looks_outside++;
}

static void *change_slots(void *number)
{
	struct random random = random_of_thread((uintptr_t)number);

	nr_running++;
	while (!atomic_load(&stop)) {
		unsigned slot = take_slot(&random, 0, NR_SLOTS);

		look_outside(slot);
		if (slot < ANONYMOUS)
			change_anonymous(slot, &random);
		else
			change_shared(slot, &random);
		unlock(&slots[slot]);
		nr_changes++;
	}
	nr_running--;
	return NULL;
}

/* ---- Outside: what must not show ---- */

enum { NR_FROZEN = 8 };

/*
 * A child has the slots as they were at the fork, whatever becomes of the parent's
 * in the meantime, and what the child writes the parent does not see.
 */
static _Noreturn void be_child(const unsigned *frozen, const uint64_t *values)
{
	usleep(3000);
	for (int i = 0; i < NR_FROZEN; i++) {
		volatile uint64_t *words = (uint64_t *)address_of(frozen[i]);

		if (!(slots[frozen[i]].prot & PROT_READ))
			continue;
		slots[frozen[i]].value = values[i];
		compare(frozen[i], words, "in a child");
		if (slots[frozen[i]].prot & PROT_WRITE)
			words[0] = ~0ull;
	}
	_exit(0);
}

static void reap(void)
{
	int status;

	while (waitpid(-1, &status, WNOHANG) > 0)
		if (status)
			FAIL("seed %lu: a child ended with status %#x", seed, status);
}

static void fork_now(struct random *random)
{
	unsigned frozen[NR_FROZEN];
	uint64_t values[NR_FROZEN];
	pid_t child;

	for (int i = 0; i < NR_FROZEN; i++) {
		frozen[i] = take_slot(random, 0, ANONYMOUS);
		values[i] = slots[frozen[i]].value;
	}
	child = CHECK_OK(fork());
	if (!child)
		be_child(frozen, values);
	for (int i = 0; i < NR_FROZEN; i++)
		unlock(&slots[frozen[i]]);
	nr_forks++;
	reap();
}

static void disturb(struct random *random)
{
	char *address = address_of(random_below(random, NR_SLOTS));
	char *huge = (char *)((uintptr_t)address & -HUGE_BYTES);
	bool is_anonymous = huge >= anonymous && huge < anonymous + ANONYMOUS * PAGE_BYTES;

	switch (random_below(random, 8)) {
	case 0:
	case 1:
	case 2:
		madvise(address, PAGE_BYTES, MADV_PAGEOUT);
		break;
	case 3:
		if (is_anonymous)
			madvise(huge, HUGE_BYTES, MADV_PAGEOUT);
		break;
	case 4:
		/* Works where all of it has the same rights; see heal(). */
		if (is_anonymous)
			madvise(huge, HUGE_BYTES, MADV_COLLAPSE);
		break;
	case 5:
		madvise(address, PAGE_BYTES, MADV_COLD);
		break;
	case 6:
		madvise(address, PAGE_BYTES, MADV_POPULATE_WRITE);
		break;
	default:
		fork_now(random);
	}
}

/* Makes all slots of one huge page alike from time to time, so that it can be one. */
static void heal(struct random *random)
{
	unsigned first = random_below(random, ANONYMOUS / HUGE_PAGES) * HUGE_PAGES;

	for (unsigned slot = first; slot < first + HUGE_PAGES; slot++) {
		while (!try_lock(&slots[slot]))
			sched_yield();
		set_rights(slot, PROT_READ | PROT_WRITE);
		unlock(&slots[slot]);
	}
	madvise(address_of(first), HUGE_BYTES, MADV_COLLAPSE);
}

static void *disturb_all(void *number)
{
	struct random random = random_of_thread((uintptr_t)number);

	nr_running++;
	for (unsigned i = 0; !atomic_load(&stop); i++) {
		if (i % 64 == 63)
			heal(&random);
		disturb(&random);
		sched_yield();
	}
	nr_running--;
	return NULL;
}

/* ---- The whole ---- */

static unsigned seconds(void)
{
	return getenv("DUNE_TEST_SECONDS") ? atoi(getenv("DUNE_TEST_SECONDS")) : 5;
}

static void prepare(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = getenv("DUNE_STRESS_SEED") ? strtoull(getenv("DUNE_STRESS_SEED"), NULL, 0)
					  : (uint64_t)now.tv_nsec;
	harness_note("DUNE_STRESS_SEED=%lu", seed);
	swap_on();
	anonymous = map_aligned(ANONYMOUS * PAGE_BYTES, HUGE_BYTES);
	CHECK_OK(madvise(anonymous, ANONYMOUS * PAGE_BYTES, MADV_HUGEPAGE));
	file = CHECK_OK(memfd_create("stress", 0));
	CHECK_OK(ftruncate(file, SHARED * PAGE_BYTES));
	shared = mmap(NULL, SHARED * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	CHECK(shared != MAP_FAILED);
	staging = map_pages(1, PROT_READ | PROT_WRITE);
	for (unsigned i = 0; i < NR_SLOTS; i++)
		slots[i].prot = PROT_READ | PROT_WRITE;
}

static void start(void *(*function)(void *number), uintptr_t number)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, function, (void *)number), 0);
}

/* On a slow kernel it takes longer; the harness ends what takes for ever. */
static bool enough_has_happened(void)
{
	return nr_looks_inside > 100 && nr_looks_outside > 100 && nr_changes > 100 &&
	       nr_faults > 10 && nr_forks > 2;
}

static void stress(void)
{
	struct dune_counts counts;

	prepare();
	CHECK_EQ(dune_init(), 0);
	start(change_slots, NR_INSIDE);
	start(disturb_all, NR_INSIDE + 1);
	CHECK_EQ(dune_enter(), 0);
	probe_init();
	for (uintptr_t i = 0; i < NR_INSIDE; i++)
		start(work_inside, i);
	for (unsigned tenths = 0; tenths < 10 * seconds() || !enough_has_happened(); tenths++)
		usleep(100000);
	atomic_store(&stop, true);
	while (nr_running)
		usleep(1000);
	while (waitpid(-1, NULL, 0) > 0)
		;
	for (unsigned i = 0; i < NR_SLOTS; i++)
		if (slots[i].prot & PROT_READ)
			compare(i, (uint64_t *)address_of(i), "at the end");
	counts = counts_now();
	harness_note("%lu looks inside and %lu outside, %lu changes, %lu faults, %lu forks; "
		     "EPT: %lu entries made, %lu taken back",
		     nr_looks_inside, nr_looks_outside, nr_changes, nr_faults, nr_forks,
		     counts.ept_mapped, counts.ept_zapped);
}

static struct harness_case stress_case = { .run = stress };

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ .name = "under_stress",
		  .test_func = harness_run_case,
		  .initial_state = &stress_case },
	};

	stress_case.seconds = 2 * seconds() + 60;
	return run_guest_tests(tests);
}
