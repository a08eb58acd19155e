// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory system calls of ring 3, done with the real ones inside the arenas: called by syscall.c
 * (emulate_…) in ring 0. What is below them also serves loader.c and layout.c, before the process
 * enters Dune.
 *
 * What is unmapped becomes PROT_NONE memory again rather than a hole. Where a hole cannot be
 * avoided for a moment, it is closed without overwriting what may have got there; if something
 * did, it belongs to the runtime and ring 3 could see it, so the process ends.
 */
#include "memory.h"
#include "file.h"
#include "sandbox.h"
#include "space.h"

#include <dune.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROT_ALL      (PROT_READ | PROT_WRITE | PROT_EXEC)
#define RESERVE_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

static uint64_t page_up(uint64_t value)
{
	return (value + SANDBOX_PAGE_BYTES - 1) & -SANDBOX_PAGE_BYTES;
}

/* A system call by this process, inside Dune or not yet: the raw result. */
static long host(long nr, long a, long b, long c, long d, long e, long f)
{
	long result;

	if (dune_inside())
		return dune_syscall(nr, a, b, c, d, e, f);
	result = syscall(nr, a, b, c, d, e, f);
	return result == -1 ? -errno : result;
}

static long host_mmap(uint64_t start, uint64_t bytes, int prot, int flags, int fd, uint64_t offset)
{
	return host(SYS_mmap, start, bytes, prot, flags, fd, offset);
}

/* PROT_NONE over a range that is ring 3's. */
static long reserve(uint64_t start, uint64_t bytes)
{
	long result = host_mmap(start, bytes, PROT_NONE, RESERVE_FLAGS | MAP_FIXED, -1, 0);

	return result < 0 ? result : 0;
}

/*
 * Closes the hole that a failed or a moving call may have left. True if there was one. The kernel
 * unmaps a range as a whole or not at all, so a range that is still in use says -EEXIST.
 */
static bool close_hole(uint64_t start, uint64_t bytes, bool must_be_one)
{
	long result =
		host_mmap(start, bytes, PROT_NONE, RESERVE_FLAGS | MAP_FIXED_NOREPLACE, -1, 0);

	if (result == (long)start)
		return true;
	if (result == -EEXIST && !must_be_one)
		return false;
	fprintf(stderr, "dune-sandbox: cannot keep %#lx-%#lx for ring 3: error %ld\n",
		(unsigned long)start, (unsigned long)(start + bytes), -result);
	abort();
}

bool sandbox_memory_contains(const struct sandbox_memory *memory, uint64_t start, uint64_t bytes)
{
	for (size_t i = 0; i < sizeof(memory->arena) / sizeof(memory->arena[0]); i++) {
		const struct sandbox_range *arena = &memory->arena[i];

		if (start >= arena->start && start < arena->end && bytes <= arena->end - start)
			return true;
	}
	return false;
}

int sandbox_memory_place(struct sandbox_memory *memory, uint64_t bytes, uint64_t align,
			 uint64_t *start)
{
	return sandbox_ranges_find(&memory->used, memory->arena[0].start, memory->mmap_high, bytes,
				   align, start);
}

/*
 * Files of huge pages are not for ring 3: the kernel makes the length of their mappings whole huge
 * pages, so that more would be replaced, or left as a hole, than was checked. Nor are those of sysfs
 * (file.c), inherited ones: what can be mapped there is memory of devices.
 */
static long judge_file(int fd)
{
	struct statfs filesystem;
	long result = host(SYS_fstatfs, fd, (long)&filesystem, 0, 0, 0, 0);

	if (result)
		return result;
	if (filesystem.f_type == SYSFS_MAGIC)
		return -ENODEV;
	return filesystem.f_type == HUGETLBFS_MAGIC ? -ENOMEM : 0;
}

/* sandbox_memory_map() for a range that was checked and has whole pages. */
static long map_checked(struct sandbox_memory *memory, uint64_t start, uint64_t bytes, int prot,
			int flags, int fd, uint64_t offset)
{
	long result = flags & MAP_ANONYMOUS ? 0 : judge_file(fd);

	if (!result)
		result = sandbox_ranges_prepare(&memory->used);
	if (result)
		return result;
	result = host_mmap(start, bytes, prot, flags | MAP_FIXED, fd, offset);
	if (result >= 0)
		sandbox_ranges_add(&memory->used, start, start + bytes);
	else if (close_hole(start, bytes, false))
		sandbox_ranges_remove(&memory->used, start, start + bytes);
	return result;
}

int sandbox_memory_map(struct sandbox_memory *memory, uint64_t start, uint64_t bytes, int prot,
		       int flags, int fd, uint64_t offset)
{
	long result;

	if (!sandbox_memory_contains(memory, start, bytes))
		return -ENOMEM;
	result = map_checked(memory, start, page_up(bytes), prot, flags, fd, offset);
	return result < 0 ? result : 0;
}

long emulate_brk(struct sandbox_call *call)
{
	struct sandbox_memory *memory = &call->box->memory;
	uint64_t old = page_up(memory->brk), wanted = call->arg[0], new = page_up(wanted);

	if (wanted < memory->brk_start || wanted > memory->brk_limit)
		return memory->brk;
	if (new > old) {
		if (sandbox_ranges_touch(&memory->used, old, new) ||
		    sandbox_memory_map(memory, old, new - old, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
			return memory->brk;
	} else if (new < old) {
		if (sandbox_ranges_prepare(&memory->used) || reserve(new, old - new))
			return memory->brk;
		sandbox_ranges_remove(&memory->used, new, old);
	}
	memory->brk = wanted;
	return wanted;
}

/* Where mmap() puts something whose address the program does not insist on. */
static long choose_place(struct sandbox_memory *memory, uint64_t hint, uint64_t bytes, int flags,
			 uint64_t *start)
{
	hint = page_up(hint);
	if (flags & MAP_32BIT)
		return sandbox_ranges_find(
			&memory->used, memory->arena[1].start,
			memory->arena[1].end < (1ull << 31) ? memory->arena[1].end : 0, bytes,
			SANDBOX_PAGE_BYTES, start);
	if (hint && sandbox_memory_contains(memory, hint, bytes) &&
	    !sandbox_ranges_touch(&memory->used, hint, hint + bytes)) {
		*start = hint;
		return 0;
	}
	return sandbox_memory_place(memory, bytes, SANDBOX_PAGE_BYTES, start);
}

long emulate_mmap(struct sandbox_call *call)
{
	struct sandbox_memory *memory = &call->box->memory;
	uint64_t start = call->arg[0], bytes = page_up(call->arg[1]);
	int flags = call->arg[3];
	long result;

	if (call->arg[1] == 0)
		return -EINVAL;
	if (bytes == 0)
		return -ENOMEM; /* the length wrapped */
	if (flags & MAP_HUGETLB)
		return -ENOMEM; /* as on a system that has set no huge pages aside */
	if (!(flags & MAP_ANONYMOUS) && sandbox_fds_hidden(call->box, call->arg[4]))
		return -EBADF;
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		bool replace = !(flags & MAP_FIXED_NOREPLACE);

		if (start % SANDBOX_PAGE_BYTES)
			return -EINVAL;
		if (!sandbox_memory_contains(memory, start, bytes))
			return replace ? -EPERM : -EEXIST;
		if (!replace && sandbox_ranges_touch(&memory->used, start, start + bytes))
			return -EEXIST;
	} else {
		result = choose_place(memory, start, bytes, flags, &start);
		if (result)
			return result;
	}
	/* A mapping that grows down by itself would grow past the bookkeeping. */
	flags &= ~(MAP_GROWSDOWN | MAP_32BIT | MAP_FIXED_NOREPLACE);
	return map_checked(memory, start, bytes, call->arg[2] & PROT_ALL, flags, call->arg[4],
			   call->arg[5]);
}

long emulate_munmap(struct sandbox_call *call)
{
	struct sandbox_memory *memory = &call->box->memory;
	uint64_t start = call->arg[0], bytes = page_up(call->arg[1]);

	if (!bytes || start % SANDBOX_PAGE_BYTES || !sandbox_memory_contains(memory, start, bytes))
		return -EINVAL;
	if (!sandbox_ranges_touch(&memory->used, start, start + bytes))
		return 0;
	if (sandbox_ranges_prepare(&memory->used) || reserve(start, bytes))
		return -ENOMEM;
	sandbox_ranges_remove(&memory->used, start, start + bytes);
	return 0;
}

/*
 * For calls on memory that must be there: *bytes is rounded up. 0; -EINVAL for an address that is
 * not a page's; -ENOMEM for what is not mapped, or not ring 3's.
 */
static long check_mapped(const struct sandbox_memory *memory, uint64_t start, uint64_t *bytes)
{
	uint64_t rounded = page_up(*bytes);

	if (start % SANDBOX_PAGE_BYTES)
		return -EINVAL;
	if (rounded < *bytes || start + rounded < start)
		return -ENOMEM;
	*bytes = rounded;
	return sandbox_ranges_cover(&memory->used, start, start + rounded) ? 0 : -ENOMEM;
}

/* Forwards a call whose first two arguments are a range that must be mapped. */
static long forward_mapped(struct sandbox_call *call, long third)
{
	uint64_t start = call->arg[0], bytes = call->arg[1];
	long result;

	if (!bytes)
		return start % SANDBOX_PAGE_BYTES ? -EINVAL : 0;
	result = check_mapped(&call->box->memory, start, &bytes);
	return result ? result : host(call->nr, start, bytes, third, 0, 0, 0);
}

long emulate_mprotect(struct sandbox_call *call)
{
	if (call->arg[2] & ~PROT_ALL)
		return -EINVAL;
	return forward_mapped(call, call->arg[2]);
}

long emulate_msync(struct sandbox_call *call)
{
	return forward_mapped(call, call->arg[2]);
}

long emulate_mlock(struct sandbox_call *call)
{
	return forward_mapped(call, 0);
}

long emulate_madvise(struct sandbox_call *call)
{
	switch ((int)call->arg[2]) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return forward_mapped(call, call->arg[2]);
	default:
		return -EINVAL;
	}
}

long emulate_mincore(struct sandbox_call *call)
{
	uint64_t bytes = call->arg[1];
	long result = check_mapped(&call->box->memory, call->arg[0], &bytes);

	if (!result)
		result = sandbox_space_check(call->arg[2], bytes / SANDBOX_PAGE_BYTES);
	return result ? result : host(SYS_mincore, call->arg[0], bytes, call->arg[2], 0, 0, 0);
}

/*
 * Closes all holes in a range and notes them. They may be anywhere, and so is what is mapped. Until
 * this is done nothing may be allocated: it could get there.
 */
static void close_holes(struct sandbox_ranges *holes, uint64_t start, uint64_t bytes)
{
	uint64_t half = bytes / 2 & -SANDBOX_PAGE_BYTES;

	if (!host(SYS_msync, start, bytes, MS_ASYNC, 0, 0, 0))
		return; /* does nothing, but finds no hole either */
	if (close_hole(start, bytes, !half)) {
		if (holes->count + 1 >= holes->room)
			abort(); /* the kernel moves from the start on: never that many */
		sandbox_ranges_add(holes, start, start + bytes);
		return;
	}
	close_holes(holes, start, half);
	close_holes(holes, start + half, bytes - half);
}

/*
 * After a move that failed. The kernel has unmapped what is at the target, and cut off what is not
 * to be moved; and since 6.17 it moves several mappings one after the other, and stops at the first
 * that it cannot move. What is gone from its place is at the target, then.
 */
static void undo_move(struct sandbox_memory *memory, struct sandbox_ranges *holes, uint64_t start,
		      uint64_t old, uint64_t new, uint64_t to)
{
	uint64_t end = start + (old < new ? old : new);

	close_holes(holes, start, old);
	close_holes(holes, to, new);
	for (size_t i = 0; i < holes->count; i++) {
		const struct sandbox_range *hole = &holes->item[i];
		uint64_t low = hole->start > start ? hole->start : start;
		uint64_t high = hole->end < end ? hole->end : end;

		if (low < high &&
		    sandbox_ranges_add(&memory->used, to + (low - start), to + (high - start)))
			reserve(to + (low - start), high - low); /* as in move() */
	}
	for (size_t i = 0; i < holes->count; i++)
		sandbox_ranges_remove(&memory->used, holes->item[i].start, holes->item[i].end);
}

/* Moves (and grows or shrinks) a mapping to a place that may be replaced. */
static long move(struct sandbox_memory *memory, uint64_t start, uint64_t old, uint64_t new,
		 uint64_t to)
{
	struct sandbox_ranges holes = { 0 };
	long result = sandbox_ranges_prepare(&memory->used);

	if (!result)
		result = sandbox_ranges_prepare(&holes);
	if (result)
		return result;
	result = host(SYS_mremap, start, old, new, MREMAP_MAYMOVE | MREMAP_FIXED, to, 0);
	if (result < 0)
		undo_move(memory, &holes, start, old, new, to);
	sandbox_ranges_destroy(&holes);
	if (result < 0)
		return result;
	close_hole(start, old, true);
	sandbox_ranges_remove(&memory->used, start, start + old);
	if (sandbox_ranges_add(&memory->used, to, to + new)) {
		/* Unknown to the bookkeeping, still inside the arena: given up. */
		reserve(to, new);
		return -ENOMEM;
	}
	return to;
}

/* Makes a mapping larger where it is, if what follows is free. */
static long grow(struct sandbox_memory *memory, uint64_t start, uint64_t old, uint64_t new)
{
	long result = sandbox_ranges_prepare(&memory->used);

	if (result)
		return result;
	result = host(SYS_munmap, start + old, new - old, 0, 0, 0, 0);
	if (result)
		return result;
	result = host(SYS_mremap, start, old, new, 0, 0, 0);
	if (result < 0) {
		close_hole(start + old, new - old, true);
		return result;
	}
	sandbox_ranges_add(&memory->used, start + old, start + new);
	return start;
}

static long move_to(struct sandbox_memory *memory, uint64_t start, uint64_t old, uint64_t new,
		    uint64_t to)
{
	if (to % SANDBOX_PAGE_BYTES)
		return -EINVAL;
	if (!sandbox_memory_contains(memory, to, new))
		return -EPERM;
	if (to < start + old && start < to + new)
		return -EINVAL;
	return move(memory, start, old, new, to);
}

long emulate_mremap(struct sandbox_call *call)
{
	struct sandbox_memory *memory = &call->box->memory;
	uint64_t start = call->arg[0], old = page_up(call->arg[1]), new = page_up(call->arg[2]), to;
	int flags = call->arg[3];
	long result;

	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED) || start % SANDBOX_PAGE_BYTES || !new)
		return -EINVAL;
	if (flags & MREMAP_FIXED && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if (!old)
		return -EINVAL; /* a second mapping of the same pages: not offered */
	if (start + old < start || !sandbox_ranges_cover(&memory->used, start, start + old))
		return -EFAULT;
	if (flags & MREMAP_FIXED)
		return move_to(memory, start, old, new, call->arg[4]);
	if (new <= old) {
		if (new < old &&
		    (sandbox_ranges_prepare(&memory->used) || reserve(start + new, old - new)))
			return -ENOMEM;
		sandbox_ranges_remove(&memory->used, start + new, start + old);
		return start;
	}
	if (sandbox_memory_contains(memory, start, new) &&
	    !sandbox_ranges_touch(&memory->used, start + old, start + new)) {
		result = grow(memory, start, old, new);
		if (result >= 0)
			return result;
	}
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	result = sandbox_memory_place(memory, new, SANDBOX_PAGE_BYTES, &to);
	return result ? result : move(memory, start, old, new, to);
}
