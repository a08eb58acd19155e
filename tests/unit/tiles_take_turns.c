// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a CPU has few tiles, pieces of the process take turns at them: each is mapped to the
 * tile that shows it, no CPU has a translation to a tile that is taken back, and what must stay
 * stays. libdune's own tile.c and pgtable.c, on a module that keeps watch.
 */
#include "fake_dune.h"
#include "../../libdune/tile.c"
#include "../../libdune/pgtable.c"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NR_TILES = 8, NR_PIECES = 40, NR_ROUNDS = 2000 };

struct dune_context dune;

/* What the module knows, and what a CPU may have in its TLB. */
static struct {
	uint64_t hva[NR_TILES];
	bool shown[NR_TILES], cached[NR_TILES], gone[NR_TILES];
	unsigned nr_cleared, nr_flushes;
	int error;  /* of the next tile; those that are gone have nothing to show */
	bool grows; /* what is not there yet comes when it is touched */
} module;

bool dune_host_can_read(const void *from, uint64_t bytes)
{
	assert_int_equal((uint64_t)from % 8, 0);
	assert_int_equal(bytes, 8);
	return module.grows;
}

int dune_backend_set_tile(uint32_t tile, uint32_t flags, uint64_t hva)
{
	int result = module.error;

	assert_true(tile < NR_TILES);
	assert_false(module.cached[tile]);
	if (flags & DUNE_TILE_CLEAR) {
		assert_true(module.shown[tile]);
		module.shown[tile] = false;
		module.nr_cleared++;
		return 0;
	}
	assert_false(module.shown[tile]);
	assert_int_equal(hva % TILE_BYTES, 0);
	if (module.gone[tile])
		return -EFAULT;
	module.error = 0;
	if (result)
		return result;
	module.shown[tile] = true;
	module.hva[tile] = hva;
	return 0;
}

int dune_backend_flush_tlb(void)
{
	memset(module.cached, 0, sizeof(module.cached));
	module.nr_flushes++;
	return 0;
}

long dune_call_outside(host_function function, long a, long b, long c)
{
	return function(a, b, c);
}

static void start(uint64_t features)
{
	memset(&module, 0, sizeof(module));
	memset(&tiles, 0, sizeof(tiles));
	memset(&pool, 0, sizeof(pool));
	dune.lock = 0; /* a test that failed may have left it */
	dune.caps.nr_tiles = NR_TILES;
	dune.caps.features = features;
	dune.ready = true;
	assert_int_equal(dune_pgtable_init(), 0);
	assert_int_equal(dune_tile_init(), 0);
	assert_true(module.shown[0]);
	assert_int_equal(module.hva[0], (uint64_t)pool.base & -TILE_BYTES);
}

static uint64_t piece(unsigned number)
{
	return (100 + 37 * (uint64_t)number) * TILE_BYTES;
}

/* Which tile the tables say, or -1. */
static int tile_of(uint64_t address)
{
	for (int tile = 0; tile < NR_TILES; tile++)
		if (dune_pgtable_maps(address, tile * TILE_BYTES + address % TILE_BYTES))
			return tile;
	return -1;
}

/* As the guest does: a walk, a fault if there is nothing, the walk again. */
static long touch(uint64_t address, long flags)
{
	long result = 0;
	int tile = tile_of(address);

	assert_int_equal(tile >= 0, dune_pgtable_allows(address, PF_WRITE) == 1);
	if (tile < 0 || flags)
		result = dune_tile_map(address, flags, 0);
	if (result)
		return result;
	tile = tile_of(address);
	assert_true(tile > 0);
	assert_true(module.shown[tile]);
	assert_int_equal(module.hva[tile], address & -TILE_BYTES);
	module.cached[tile] = true;
	return 0;
}

static const uint64_t features[] = { DUNE_CAP_GUEST_1G, 0 };

static void each_is_shown_when_it_is_touched(void **state)
{
	(void)state;
	srandom(1);
	for (int i = 0; i < 2; i++) {
		start(features[i]);
		for (int round = 0; round < NR_ROUNDS; round++)
			assert_int_equal(touch(piece(random() % NR_PIECES) + random(), 0), 0);
		assert_true(module.nr_cleared > NR_ROUNDS / 2);
	}
}

static void page_tables_are_used_again(void **state)
{
	uint64_t used = 0;

	(void)state;
	start(0);
	for (int round = 0; round < NR_ROUNDS; round++) {
		if (round == NR_PIECES)
			used = pool.used;
		if (round % 7 == 3)
			module.error = -EFAULT;
		touch(piece(round % NR_PIECES), 0);
	}
	assert_true(used && used == pool.used);
}

static void what_is_needed_stays(void **state)
{
	static const long flags[] = { TILE_PINNED, TILE_ARENA };

	(void)state;
	for (int i = 0; i < 2; i++) {
		start(features[i]);
		for (unsigned kept = 0; kept < 3; kept++)
			assert_int_equal(touch(piece(kept), flags[kept % 2]), 0);
		assert_non_null(dune_pte((void *)piece(3)));
		for (unsigned round = 0; round < NR_ROUNDS; round++)
			assert_int_equal(touch(piece(4 + round % (NR_PIECES - 4)), 0), 0);
		for (unsigned kept = 0; kept < 4; kept++)
			assert_true(tile_of(piece(kept)) > 0);
	}
}

static void there_may_be_none_left(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(features[i]);
		for (unsigned kept = 0; kept < NR_TILES - 1; kept++)
			assert_int_equal(touch(piece(kept), TILE_PINNED), 0);
		assert_int_equal(touch(piece(NR_TILES), 0), -ENOMEM);
		assert_int_equal(tile_of(piece(NR_TILES)), -1);
	}
}

static void what_the_process_has_not_is_not_shown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(features[i]);
		module.error = -EFAULT;
		assert_int_equal(touch(piece(1), 0), -EFAULT);
		assert_int_equal(dune_pgtable_allows(piece(1), 0), -ENOENT);
		assert_int_equal(touch(piece(1), 0), 0);
		module.grows = true;
		module.error = -EFAULT;
		assert_int_equal(touch(piece(2) + TILE_BYTES - 3, 0), 0);
		module.grows = false;
	}
}

/* A reader without the lock never sees a piece of an arena that ring 3 may not use. */
static void rights_are_there_from_the_start(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		unsigned flushes;

		start(features[i]);
		flushes = module.nr_flushes;
		assert_int_equal(touch(piece(1), TILE_ARENA), 0);
		assert_int_equal(dune_pgtable_allows(piece(1), PF_USER | PF_WRITE), 1);
		assert_int_equal(module.nr_flushes, flushes);
		assert_int_equal(touch(piece(2), 0), 0);
		assert_int_equal(dune_pgtable_allows(piece(2), PF_USER), 0);
		assert_int_equal(touch(piece(2), TILE_ARENA), 0);
		assert_int_equal(dune_pgtable_allows(piece(2), PF_USER), 1);
		assert_int_equal(module.nr_flushes, flushes + 1);
	}
}

static void finer_rights_are_seen(void **state)
{
	char *page = (char *)piece(5) + 5 * PAGE;

	(void)state;
	for (int i = 0; i < 2; i++) {
		start(features[i]);
		assert_int_equal(dune_protect(page, PAGE, DUNE_PROT_READ), 0);
		assert_int_equal(dune_pgtable_allows((uint64_t)page, 0), 1);
		assert_int_equal(dune_pgtable_allows((uint64_t)page, PF_WRITE), 0);
		assert_int_equal(dune_pgtable_allows((uint64_t)page, PF_FETCH), 0);
		assert_int_equal(dune_pgtable_allows((uint64_t)page + PAGE, PF_WRITE | PF_FETCH),
				 1);
		assert_int_equal(dune_protect(page, PAGE, 0), 0);
		assert_int_equal(dune_pgtable_allows((uint64_t)page, 0), 0);
		assert_int_equal(tile_of((uint64_t)page), -1);
		assert_true(tile_of((uint64_t)page + PAGE) > 0);
	}
}

/* What an arena that failed leaves behind. */
static void what_is_hidden_is_ring_0s(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		unsigned flushes;

		start(features[i]);
		for (unsigned number = 0; number < 3; number++)
			assert_int_equal(touch(piece(number), number ? TILE_ARENA : 0), 0);
		flushes = module.nr_flushes;
		dune_tile_hide(piece(1), piece(1) + TILE_BYTES);
		assert_int_equal(module.nr_flushes, flushes + 1);
		assert_int_equal(dune_pgtable_allows(piece(1), PF_USER), 0);
		assert_int_equal(dune_pgtable_allows(piece(1), PF_WRITE), 1);
		assert_int_equal(dune_pgtable_allows(piece(2), PF_USER), 1);
		for (unsigned round = 0; round < NR_ROUNDS; round++)
			assert_int_equal(touch(piece(3 + round % NR_PIECES), 0), 0);
		assert_int_equal(tile_of(piece(1)), -1);
		assert_true(tile_of(piece(2)) > 0);
	}
}

static void a_piece_is_one_rings(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(features[i]);
		assert_int_equal(touch(piece(1), TILE_ARENA), 0);
		assert_int_equal(dune_tile_pin((void *)piece(1), PAGE), -EEXIST);
		assert_int_equal(dune_tile_pin((void *)piece(2), PAGE), 0);
		assert_int_equal(dune_tile_map(piece(2), TILE_ARENA, 0), -EEXIST);
		assert_int_equal(dune_pgtable_allows(piece(2), PF_USER), 0);
		assert_int_equal(dune_protect((void *)piece(1), PAGE, DUNE_PROT_READ), 0);
		assert_int_equal(dune_pgtable_allows(piece(1), PF_USER), 0);
		assert_int_equal(dune_pgtable_allows(piece(1) + PAGE, PF_USER), 1);
	}
}

static void a_piece_begins_anew(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(features[i]);
		assert_int_equal(dune_protect((void *)piece(1), PAGE, 0), 0);
		assert_int_equal(touch(piece(2), TILE_PINNED), 0);
		dune_tile_renew(piece(1), piece(1) + TILE_BYTES);
		dune_tile_renew(piece(2), piece(2) + TILE_BYTES);
		assert_int_equal(module.nr_cleared, 2);
		assert_int_equal(dune_pgtable_allows(piece(1), 0), -ENOENT);
		assert_int_equal(touch(piece(1), TILE_ARENA), 0);
		assert_int_equal(dune_pgtable_allows(piece(1), PF_USER | PF_WRITE), 1);
		assert_int_equal(touch(piece(2), TILE_ARENA), 0);
	}
}

/* A new vm, in which nothing is shown yet. */
static void forget_all(void)
{
	memset(module.shown, 0, sizeof(module.shown));
	memset(module.cached, 0, sizeof(module.cached));
}

static void a_fork_child_has_what_is_left(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(features[i]);
		for (unsigned number = 0; number < NR_TILES - 1; number++)
			assert_int_equal(touch(piece(number), 0), 0);
		assert_int_equal(dune_protect((void *)piece(2), PAGE, 0), 0);
		forget_all();
		module.gone[tile_of(piece(1))] = true;
		module.gone[tile_of(piece(2) + PAGE)] = true;
		assert_int_equal(dune_tile_resubmit(), 0);
		memset(module.gone, 0, sizeof(module.gone));
		assert_int_equal(dune_pgtable_allows(piece(1), 0), -ENOENT);
		assert_int_equal(dune_pgtable_allows(piece(2), 0), -ENOENT);
		for (unsigned number = 0; number < NR_TILES - 1; number++)
			assert_int_equal(touch(piece(number), 0), 0);
		assert_int_equal(dune_pgtable_allows(piece(2), PF_WRITE), 1);
		assert_int_equal(module.nr_cleared, 0);
	}
}

static void a_second_start_begins_anew(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start(features[i]);
		assert_int_equal(touch(piece(1), 0), 0);
		dune_tile_exit();
		dune_pgtable_exit();
		memset(&module, 0, sizeof(module));
		assert_int_equal(dune_pgtable_init(), 0);
		assert_int_equal(dune_tile_init(), 0);
		assert_int_equal(module.hva[0], (uint64_t)pool.base & -TILE_BYTES);
		assert_int_equal(touch(piece(1), 0), 0);
	}
}

/* ---- The lock ---- */

static double cpu_seconds(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return used.tv_sec + used.tv_nsec / 1e9;
}

static void *wait_for_lock(void *seconds)
{
	double before = cpu_seconds();

	dune_lock(&dune.lock);
	*(double *)seconds = cpu_seconds() - before;
	dune_unlock(&dune.lock);
	return NULL;
}

static void who_waits_for_the_lock_sleeps(void **state)
{
	pthread_t threads[2];
	double seconds[2];

	(void)state;
	dune.lock = 0;
	dune_lock(&dune.lock);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_for_lock, &seconds[i]), 0);
	usleep(300000);
	dune_unlock(&dune.lock);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_true(seconds[i] < 0.01);
	}
	assert_int_equal(dune.lock, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_shown_when_it_is_touched),
		cmocka_unit_test(page_tables_are_used_again),
		cmocka_unit_test(what_is_needed_stays),
		cmocka_unit_test(there_may_be_none_left),
		cmocka_unit_test(what_the_process_has_not_is_not_shown),
		cmocka_unit_test(rights_are_there_from_the_start),
		cmocka_unit_test(finer_rights_are_seen),
		cmocka_unit_test(what_is_hidden_is_ring_0s),
		cmocka_unit_test(a_piece_is_one_rings),
		cmocka_unit_test(a_piece_begins_anew),
		cmocka_unit_test(a_fork_child_has_what_is_left),
		cmocka_unit_test(a_second_start_begins_anew),
		cmocka_unit_test(who_waits_for_the_lock_sleeps),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
