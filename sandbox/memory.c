// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory system calls of ring 3, done with the real ones inside the arenas: called by syscall.c
 * (emulate_…) in ring 0. What is below them also serves loader.c and layout.c, before the process
 * enters Dune.
 *
 * What is unmapped becomes PROT_NONE memory again rather than a hole: hole.h. mremap.c has the one
 * call that moves.
 */
#include "memory.h"
#include "descriptor.h"
#include "hole.h"
#include "sandbox.h"
#include "space.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)

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
 * (judge.c), inherited ones: what can be mapped there is memory of devices.
 */
static long judge_file(int fd)
{
	struct statfs filesystem;
	long result = sandbox_host(SYS_fstatfs, fd, (long)&filesystem, 0, 0, 0, 0);

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
	result = sandbox_host_mmap(start, bytes, prot, flags | MAP_FIXED, fd, offset);
	if (result >= 0)
		sandbox_ranges_add(&memory->used, start, start + bytes);
	else if (sandbox_close_hole(start, bytes, false))
		sandbox_ranges_remove(&memory->used, start, start + bytes);
	return result;
}

int sandbox_memory_map(struct sandbox_memory *memory, uint64_t start, uint64_t bytes, int prot,
		       int flags, int fd, uint64_t offset)
{
	long result;

	if (!sandbox_memory_contains(memory, start, bytes))
		return -ENOMEM;
	result = map_checked(memory, start, sandbox_page_up(bytes), prot, flags, fd, offset);
	return result < 0 ? result : 0;
}

long emulate_brk(struct sandbox_call *call)
{
	struct sandbox_memory *memory = &call->box->memory;
	uint64_t old = sandbox_page_up(memory->brk), wanted = call->arg[0],
		 new = sandbox_page_up(wanted);

	if (wanted < memory->brk_start || wanted > memory->brk_limit)
		return memory->brk;
	if (new > old) {
		if (sandbox_ranges_touch(&memory->used, old, new) ||
		    sandbox_memory_map(memory, old, new - old, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
			return memory->brk;
	} else if (new < old) {
		if (sandbox_ranges_prepare(&memory->used) || sandbox_reserve(new, old - new))
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
	hint = sandbox_page_up(hint);
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
	uint64_t start = call->arg[0], bytes = sandbox_page_up(call->arg[1]);
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
	uint64_t start = call->arg[0], bytes = sandbox_page_up(call->arg[1]);

	if (!bytes || start % SANDBOX_PAGE_BYTES || !sandbox_memory_contains(memory, start, bytes))
		return -EINVAL;
	if (!sandbox_ranges_touch(&memory->used, start, start + bytes))
		return 0;
	if (sandbox_ranges_prepare(&memory->used) || sandbox_reserve(start, bytes))
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
	uint64_t rounded = sandbox_page_up(*bytes);

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
	return result ? result : sandbox_host(call->nr, start, bytes, third, 0, 0, 0);
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

/* Of whole pages, as the kernel makes them. */
long emulate_mlock(struct sandbox_call *call)
{
	uint64_t into = call->arg[0] % SANDBOX_PAGE_BYTES;

	call->arg[0] -= into;
	if (__builtin_add_overflow(call->arg[1], into, &call->arg[1]))
		return -ENOMEM;
	return forward_mapped(call, 0);
}

/* Unlike others, the kernel goes on behind a gap, and then says that there was one. */
static long advise(struct sandbox_call *call)
{
	const struct sandbox_ranges *used = &call->box->memory.used;
	uint64_t at = call->arg[0], bytes = sandbox_page_up(call->arg[1]), end = at + bytes;
	long result = forward_mapped(call, call->arg[2]);
	struct sandbox_range piece;

	if (result != -ENOMEM || bytes < call->arg[1] || end < at)
		return result;
	for (; sandbox_ranges_next(used, at, end, &piece); at = piece.end) {
		result = sandbox_host(SYS_madvise, piece.start, piece.end - piece.start,
				      call->arg[2], 0, 0, 0);
		if (result)
			return result;
	}
	return -ENOMEM;
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
		return advise(call);
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
	return result ? result
		      : sandbox_host(SYS_mincore, call->arg[0], bytes, call->arg[2], 0, 0, 0);
}
