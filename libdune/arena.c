// SPDX-License-Identifier: MIT
/*
 * Arenas: the 1 GiB pieces of the process that ring 3 may use, the copies between
 * them and ring 0, and the one page outside them that ring 3 needs: the trampoline
 * to which a function returns that dune_ring3_call() called (enter.S).
 */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "dune.h"
#include "context.h"
#include "hypercall.h"
#include "tile.h"
#include "trap.h"

#define PUBLIC	   __attribute__((visibility("default")))
#define MAX_ARENAS 64
#define USER_TOP   (1ull << 47)

struct arena {
	uint64_t start, end;
};

static struct arena arenas[MAX_ARENAS];
static unsigned nr_arenas;
uint64_t dune_ring3_trampoline, dune_ring3_return;

PUBLIC bool dune_arena_contains(uint64_t address, uint64_t bytes)
{
	unsigned nr = __atomic_load_n(&nr_arenas, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < nr; i++)
		if (address >= arenas[i].start && address <= arenas[i].end &&
		    bytes <= arenas[i].end - address)
			return true;
	return false;
}

static bool is_error(long result)
{
	return result < 0 && result > -4096;
}

static int make_trampoline(void)
{
	uint64_t bytes = dune_ring3_trampoline_end - dune_ring3_trampoline_start;
	long page;

	if (dune_ring3_trampoline)
		return 0;
	page = RAW(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (is_error(page))
		return page;
	for (uint64_t i = 0; i < bytes; i++)
		((volatile char *)page)[i] = dune_ring3_trampoline_start[i];
	RAW(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
	if (dune_protect((void *)page, 4096, DUNE_PROT_READ | DUNE_PROT_EXEC | DUNE_PROT_USER)) {
		RAW(SYS_munmap, page, 4096);
		return -ENOMEM;
	}
	dune_backend_flush_tlb();
	dune_ring3_trampoline = page;
	dune_ring3_return = page + (dune_ring3_trampoline_return - dune_ring3_trampoline_start);
	return 0;
}

/* Address space for an arena: anywhere, or exactly at start. What the program had there
 * is gone, and so are the finer rights that it had set. */
static long reserve(uint64_t start, uint64_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	uint64_t more = start ? 0 : TILE_BYTES, aligned;
	long at;

	if (start)
		flags |= MAP_FIXED_NOREPLACE;
	at = RAW(SYS_mmap, start, bytes + more, PROT_NONE, flags, -1, 0);
	if (is_error(at))
		return at;
	aligned = (at + TILE_BYTES - 1) & -TILE_BYTES;
	if (aligned > (uint64_t)at)
		RAW(SYS_munmap, at, aligned - at);
	if (aligned < at + more)
		RAW(SYS_munmap, aligned + bytes, at + more - aligned);
	dune_tile_renew(aligned, aligned + bytes);
	return aligned;
}

static bool is_arena(uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < nr_arenas; i++)
		if (start < arenas[i].end && arenas[i].start < end)
			return true;
	return false;
}

/* Does the trap path need any of it, or has it finer rights? */
static bool is_ring0(uint64_t start, uint64_t end)
{
	uint64_t *note;

	for (; start < end; start += TILE_BYTES)
		if (dune_pgtable_slot(start, false, &note) && (*note & (NOTE_PINNED | NOTE_SPLIT)))
			return true;
	return false;
}

/* Pieces that hold nothing yet get their tile when ring 3 first touches them. */
static int show(uint64_t start, uint64_t end)
{
	int result;

	for (; start < end; start += TILE_BYTES) {
		result = dune_tile_map(start, TILE_ARENA, 0);
		if (result && result != -EFAULT)
			return result == -EEXIST ? -EEXIST : -ENOMEM;
	}
	return 0;
}

static int give(uint64_t start, uint64_t end)
{
	int result;

	if (is_arena(start, end))
		return -EEXIST;
	result = show(start, end);
	if (result) {
		dune_tile_hide(start, end);
		return result;
	}
	arenas[nr_arenas] = (struct arena){ start, end };
	__atomic_store_n(&nr_arenas, nr_arenas + 1, __ATOMIC_RELEASE);
	return 0;
}

static long give_new(uint64_t start, uint64_t bytes)
{
	long at = reserve(start, bytes);
	int result;

	if (is_error(at))
		return at;
	result = give(at, at + bytes);
	if (!result)
		return at;
	RAW(SYS_munmap, at, bytes);
	return result;
}

static long give_as_it_is(uint64_t start, uint64_t bytes)
{
	int result = is_ring0(start, start + bytes) ? -EEXIST : give(start, start + bytes);

	return result ? result : (long)start;
}

static long create(long start, long bytes, long keep)
{
	long result = -ENOMEM;

	dune_lock(&dune.arena_lock);
	if (nr_arenas < MAX_ARENAS)
		result = make_trampoline();
	if (!result)
		result = keep ? give_as_it_is(start, bytes) : give_new(start, bytes);
	dune_unlock(&dune.arena_lock);
	return result;
}

static bool is_within(const void *address, uint64_t start, uint64_t bytes)
{
	return (uint64_t)address - start < bytes;
}

PUBLIC int dune_arena_create(uintptr_t start, size_t bytes, unsigned flags, void **arena)
{
	long result;

	if (!dune.ready || !bytes || start % TILE_BYTES || bytes % TILE_BYTES ||
	    flags & ~DUNE_ARENA_KEEP || bytes > USER_TOP || start > USER_TOP - bytes)
		return -EINVAL;
	/* The caller could not go on: ring 0 neither runs ring 3's code nor uses its stack. */
	if (flags & DUNE_ARENA_KEEP && (is_within(__builtin_frame_address(0), start, bytes) ||
					is_within(__builtin_return_address(0), start, bytes)))
		return -EEXIST;
	result = host_call(create, start, bytes, flags & DUNE_ARENA_KEEP);
	if (is_error(result))
		return result;
	if (arena)
		*arena = (void *)result;
	return 0;
}

PUBLIC int dune_copy_from_user(void *to, uint64_t user_from, size_t bytes)
{
	if (!dune_arena_contains(user_from, bytes))
		return -EFAULT;
	return dune_copy(to, (const void *)user_from, bytes);
}

PUBLIC int dune_copy_to_user(uint64_t user_to, const void *from, size_t bytes)
{
	if (!dune_arena_contains(user_to, bytes))
		return -EFAULT;
	return dune_copy((void *)user_to, from, bytes);
}
