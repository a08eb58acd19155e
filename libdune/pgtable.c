// SPDX-License-Identifier: MIT
/*
 * The guest's page tables: made of one large entry for each piece of the process
 * (tile.c), split down to 4 KiB where dune_protect() or dune_pte() asks for it.
 * A guest-physical address is tile number * 1 GiB plus the offset in the piece,
 * whatever the size of the entry. Runs in ring 0 and outside alike.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "dune.h"
#include "context.h"
#include "frame.h"
#include "hypercall.h"
#include "pgtable.h"
#include "tile.h"

#define PAGE	    4096ull
#define ENTRIES	    512
#define POOL_BYTES  (256ull << 20) /* address space only; memory comes on use */
#define USER_TOP    (1ull << 47)
#define MOST_INVLPG 16 /* pages; above, all of the TLB goes */

enum level { LEVEL_4K, LEVEL_2M, LEVEL_1G, LEVEL_512G };

static struct {
	char *base;
	uint64_t used;	 /* bytes; only grows */
	uint64_t gpa;	 /* of base */
	uint64_t *spare; /* the table of a piece that lost its tile; under dune.lock */
} pool;

static uint64_t level_bytes(enum level level)
{
	return PAGE << (9 * level);
}

static unsigned level_index(uint64_t address, enum level level)
{
	return (address >> (12 + 9 * level)) % ENTRIES;
}

static void *table_alloc(uint64_t pages)
{
	uint64_t at = __atomic_fetch_add(&pool.used, pages * PAGE, __ATOMIC_RELAXED);

	return at + pages * PAGE <= POOL_BYTES ? pool.base + at : NULL;
}

static uint64_t table_entry(const void *table)
{
	return (pool.gpa + ((const char *)table - pool.base)) | ENTRY_RING0 | DUNE_PTE_USER;
}

static uint64_t *table_of(uint64_t entry)
{
	return (uint64_t *)(pool.base + ((entry & ENTRY_ADDRESS) - pool.gpa));
}

/* The pool must not cross a piece's end, hence the alignment to its size. */
int dune_pgtable_init(void)
{
	long start = RAW(SYS_mmap, 0, 2 * POOL_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t base;

	if (start < 0 && start > -4096)
		return start;
	base = (start + POOL_BYTES - 1) & -POOL_BYTES;
	if (base > (uint64_t)start)
		RAW(SYS_munmap, start, base - start);
	RAW(SYS_munmap, base + POOL_BYTES, start + POOL_BYTES - base);
	pool.base = (char *)base;
	pool.gpa = base % TILE_BYTES; /* in tile 0 */
	pool.used = 0;
	pool.spare = NULL;
	table_alloc(1); /* the root */
	return 0;
}

void dune_pgtable_exit(void)
{
	RAW(SYS_munmap, pool.base, POOL_BYTES);
}

uint64_t dune_pgtable_root(void)
{
	return pool.gpa;
}

void *dune_pgtable_pool(void)
{
	return pool.base;
}

uint64_t *dune_pgtable_slot(uint64_t address, bool make, uint64_t **note)
{
	uint64_t *root = (uint64_t *)pool.base + level_index(address, LEVEL_512G);
	uint64_t *slots;

	if (address >= USER_TOP)
		return NULL;
	if (!*root) {
		slots = make ? table_alloc(2) : NULL;
		if (!slots)
			return NULL;
		__atomic_store_n(root, table_entry(slots), __ATOMIC_RELEASE);
	}
	slots = table_of(*root) + level_index(address, LEVEL_1G);
	*note = slots + ENTRIES;
	return slots;
}

/* What the entry says, in 512 smaller pieces. */
static void fill_table(uint64_t *table, uint64_t entry, enum level level)
{
	uint64_t step = level_bytes(level - 1);

	if (level - 1 == LEVEL_4K)
		entry &= ~ENTRY_LARGE;
	for (int i = 0; i < ENTRIES; i++)
		__atomic_store_n(&table[i], entry + i * step, __ATOMIC_RELAXED);
}

/* Again, where a CPU has set accessed or dirty in the entry meanwhile. */
static bool split(uint64_t *entry, enum level level)
{
	uint64_t *table = table_alloc(1), old = __atomic_load_n(entry, __ATOMIC_RELAXED);

	if (!table)
		return false;
	do
		fill_table(table, old, level);
	while (!__atomic_compare_exchange_n(entry, &old, table_entry(table), false,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED));
	return true;
}

/*
 * A piece loses its tile as a rule because another is to get it: one spare table is enough.
 * Those beyond it, of pieces that a fork child has not and of arenas made where finer
 * rights had been set, are lost. So are tables of 4 KiB: dune_pte() has told where they are.
 */
static uint64_t *take_spare(void)
{
	uint64_t *table = pool.spare;

	pool.spare = NULL;
	return table ? table : table_alloc(1);
}

int dune_pgtable_map_tile(uint64_t *slot, uint32_t tile, bool user)
{
	uint64_t entry = tile * TILE_BYTES | ENTRY_LARGE | ENTRY_RING0 | (user ? DUNE_PTE_USER : 0);
	uint64_t *table;

	if (!(dune.caps.features & DUNE_CAP_GUEST_1G)) {
		table = take_spare();
		if (!table)
			return -ENOMEM;
		fill_table(table, entry, LEVEL_1G);
		entry = table_entry(table);
	}
	__atomic_store_n(slot, entry, __ATOMIC_RELEASE);
	return 0;
}

void dune_pgtable_unmap_tile(uint64_t *slot)
{
	uint64_t entry = *slot;

	__atomic_store_n(slot, 0, __ATOMIC_RELEASE);
	if (!(entry & ENTRY_LARGE) && !pool.spare)
		pool.spare = table_of(entry);
}

static void set_user(uint64_t *entry, bool user)
{
	if (!(*entry & ENTRY_LARGE))
		return;
	if (user)
		__atomic_fetch_or(entry, DUNE_PTE_USER, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(entry, ~(uint64_t)DUNE_PTE_USER, __ATOMIC_RELAXED);
}

void dune_pgtable_set_user(uint64_t *slot, bool user)
{
	set_user(slot, user);
	if (!(*slot & ENTRY_LARGE))
		for (int i = 0; i < ENTRIES; i++)
			set_user(&table_of(*slot)[i], user);
}

/*
 * The entry of `address` at `level`, or the larger one that is not present and so
 * ends the walk. Larger present entries above it are split; a split changes no
 * translation, so nobody's TLB needs to hear of it. dune.lock is held.
 */
static uint64_t *walk_and_split(uint64_t address, enum level level)
{
	uint64_t *note, *entry = dune_pgtable_slot(address, false, &note);

	for (enum level at = LEVEL_1G; entry && at > level; at--) {
		if (!*entry)
			return NULL;
		if (*entry & ENTRY_LARGE) {
			if (!split(entry, at))
				return NULL;
			*note |= NOTE_SPLIT;
		}
		entry = table_of(*entry) + level_index(address, at - 1);
	}
	return entry;
}

/* A large entry of no rights is not present but still splits: it keeps LARGE. */
static uint64_t entry_rights(unsigned prot)
{
	uint64_t rights = 0;

	if (prot & (DUNE_PROT_READ | DUNE_PROT_WRITE | DUNE_PROT_EXEC))
		rights |= DUNE_PTE_PRESENT;
	if (prot & DUNE_PROT_WRITE)
		rights |= DUNE_PTE_WRITE;
	if (prot & DUNE_PROT_USER)
		rights |= DUNE_PTE_USER;
	if (!(prot & DUNE_PROT_EXEC))
		rights |= DUNE_PTE_NX;
	return rights;
}

#define RIGHTS (DUNE_PTE_PRESENT | DUNE_PTE_WRITE | DUNE_PTE_USER | DUNE_PTE_NX)

/* The CPU may hold pieces of a larger entry that has been split: then all goes. */
static void flush_own_tlb(uint64_t address, uint64_t end, bool split)
{
	uint64_t cr3;

	if (!in_ring0())
		return;
	if (split || end - address > MOST_INVLPG * PAGE) {
		__asm__ volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=r"(cr3)::"memory");
		return;
	}
	for (; address < end; address += PAGE)
		dune_invlpg((void *)address);
}

/* A CPU may set accessed and dirty meanwhile. */
static void set_rights(uint64_t *entry, uint64_t rights)
{
	uint64_t old = __atomic_load_n(entry, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(entry, &old, (old & ~RIGHTS) | rights, false,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

static int protect_locked(uint64_t address, uint64_t end, uint64_t rights)
{
	enum level level;
	uint64_t *entry;

	for (; address < end; address += level_bytes(level)) {
		level = LEVEL_4K;
		if (!(address % level_bytes(LEVEL_2M)) && end - address >= level_bytes(LEVEL_2M))
			level = LEVEL_2M;
		entry = walk_and_split(address, level);
		if (entry && level == LEVEL_2M && *entry && !(*entry & ENTRY_LARGE)) {
			level = LEVEL_4K; /* split before: page by page */
			entry = walk_and_split(address, level);
		}
		if (!entry)
			return -ENOMEM;
		set_rights(entry, rights);
	}
	return 0;
}

static int map_pieces(uint64_t address, uint64_t end)
{
	uint64_t *slot, *note;
	long arena, result;

	for (; address < end; address = (address | (TILE_BYTES - 1)) + 1) {
		slot = dune_pgtable_slot(address, false, &note);
		if (slot && (*note & NOTE_PINNED))
			continue;
		arena = dune_arena_contains(address, 1) ? TILE_ARENA : 0;
		result = dune_tile_map(address, TILE_PINNED | arena, 0);
		if (result)
			return result == -ENOMEM ? -ENOMEM : -EINVAL;
	}
	return 0;
}

/*
 * The lock is taken in host context only: a signal is just noted there, so no handler
 * can want what the code has that it interrupted. All pieces of the range must be there
 * before: mapping one takes the lock, too.
 */
static long protect(long start, long end, long rights)
{
	uint64_t used;
	long result = map_pieces(start, end);

	if (result)
		return result;
	dune_lock(&dune.lock);
	used = pool.used;
	result = protect_locked(start, end, rights);
	if (!result)
		result = used != pool.used;
	dune_unlock(&dune.lock);
	return result;
}

__attribute__((visibility("default"))) int dune_protect(void *address, size_t bytes, unsigned prot)
{
	uint64_t start = (uint64_t)address, end = start + bytes;
	long result;

	if (!dune.ready || start % PAGE || bytes % PAGE || end < start || end > USER_TOP)
		return -EINVAL;
	if (prot & ~(DUNE_PROT_READ | DUNE_PROT_WRITE | DUNE_PROT_EXEC | DUNE_PROT_USER))
		return -EINVAL;
	result = host_call(protect, start, end, entry_rights(prot));
	flush_own_tlb(start, end, result);
	return result < 0 ? result : 0;
}

static long find_pte(long address, long unused, long unused2)
{
	uint64_t *entry;

	(void)unused;
	(void)unused2;
	if (map_pieces(address, address + 1))
		return 0;
	dune_lock(&dune.lock);
	entry = walk_and_split(address, LEVEL_4K);
	dune_unlock(&dune.lock);
	return (long)entry;
}

__attribute__((visibility("default"))) uint64_t *dune_pte(void *address)
{
	long entry = dune.ready ? host_call(find_pte, (long)address, 0, 0) : 0;

	return entry > 0 ? (uint64_t *)entry : NULL;
}

static uint64_t load_entry(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* The present entry that maps address, or the one where the walk ends; 0: no tile. All on
 * the way is in *rights: a bit that they all have, NX if one has it. */
static uint64_t walk(uint64_t address, enum level *level, uint64_t *rights)
{
	uint64_t *note, entry;
	uint64_t *at = dune_pgtable_slot(address, false, &note);

	*level = LEVEL_1G;
	entry = at ? load_entry(at) : 0;
	*rights = entry;
	while (*level != LEVEL_4K && (entry & DUNE_PTE_PRESENT) && !(entry & ENTRY_LARGE)) {
		--*level;
		entry = load_entry(table_of(entry) + level_index(address, *level));
		*rights &= entry | DUNE_PTE_NX;
		*rights |= entry & DUNE_PTE_NX;
	}
	return entry;
}

int dune_pgtable_allows(uint64_t address, uint64_t error)
{
	uint64_t rights, needed = DUNE_PTE_PRESENT;
	enum level level;

	if (!walk(address, &level, &rights) && level == LEVEL_1G)
		return -ENOENT;
	needed |= error & PF_WRITE ? DUNE_PTE_WRITE : 0;
	needed |= error & PF_USER ? DUNE_PTE_USER : 0;
	return !(needed & ~rights) && !((error & PF_FETCH) && (rights & DUNE_PTE_NX));
}

bool dune_pgtable_maps(uint64_t address, uint64_t gpa)
{
	enum level level;
	uint64_t rights, entry = walk(address, &level, &rights);
	uint64_t offset = address % level_bytes(level);

	if (!(entry & DUNE_PTE_PRESENT))
		return false;
	entry &= ENTRY_ADDRESS & -level_bytes(level);
	return (entry + offset) / PAGE == gpa / PAGE;
}
