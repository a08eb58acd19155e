// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions of libdune that the sandbox calls, without Dune. Ring-3 memory is copied with
 * process_vm_readv(), which fails as the real copies do where nothing is mapped.
 */
#include "fake_dune.h"
#include "memory.h"
#include "layout.h"
#include "sandbox.h"

#include <dune.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

bool fake_stopped;
struct sandbox *box;
uint64_t page;

static struct {
	uint64_t start, end;
} arenas[64];
static unsigned nr_arenas;

bool dune_inside(void)
{
	return true;
}

int dune_get_info(struct dune_info *info)
{
	*info = (struct dune_info){ .nr_tiles = 512 };
	return 0;
}

int dune_get_counts(struct dune_counts *counts)
{
	*counts = (struct dune_counts){ 0 };
	return 0;
}

int dune_arena_create(uintptr_t start, size_t bytes, unsigned flags, void **arena)
{
	uint64_t at = start;

	if (!(flags & DUNE_ARENA_KEEP)) {
		at = (uint64_t)mmap(NULL, bytes + DUNE_ARENA_BYTES, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		at = (at + DUNE_ARENA_BYTES - 1) & -DUNE_ARENA_BYTES;
	}
	arenas[nr_arenas].start = at;
	arenas[nr_arenas++].end = at + bytes;
	*arena = (void *)at;
	return 0;
}

bool dune_arena_contains(uint64_t address, uint64_t bytes)
{
	for (unsigned i = 0; i < nr_arenas; i++)
		if (address >= arenas[i].start && address <= arenas[i].end &&
		    bytes <= arenas[i].end - address)
			return true;
	return false;
}

static int copied(ssize_t result, size_t bytes)
{
	return result == (ssize_t)bytes ? 0 : -EFAULT;
}

int dune_copy_from_user(void *to, uint64_t user_from, size_t bytes)
{
	struct iovec here = { to, bytes }, there = { (void *)user_from, bytes };

	if (!dune_arena_contains(user_from, bytes))
		return -EFAULT;
	return copied(process_vm_readv(getpid(), &here, 1, &there, 1, 0), bytes);
}

int dune_copy_to_user(uint64_t user_to, const void *from, size_t bytes)
{
	struct iovec here = { (void *)from, bytes }, there = { (void *)user_to, bytes };

	if (!dune_arena_contains(user_to, bytes))
		return -EFAULT;
	return copied(process_vm_writev(getpid(), &here, 1, &there, 1, 0), bytes);
}

__attribute__((weak)) long dune_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	long result = syscall(nr, a, b, c, d, e, f);

	return result == -1 ? -errno : result;
}

void dune_ring3_stop(struct dune_frame *frame, uint64_t value)
{
	(void)frame;
	(void)value;
	fake_stopped = true;
}

struct sandbox *fake_sandbox(void)
{
	struct sandbox *box = calloc(1, sizeof(*box));
	void *start;

	assert_non_null(box);
	box->trace_fd = -1;
	assert_int_equal(dune_arena_create(0, 4 * DUNE_ARENA_BYTES, 0, &start), 0);
	sandbox_layout_add_main(&box->memory, (uint64_t)start, 4 * DUNE_ARENA_BYTES);
	return box;
}

uint64_t fake_page(struct sandbox *box)
{
	long page = RING3(box, SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(page > 0);
	return page;
}

int fake_set_up(void **state)
{
	(void)state;
	box = fake_sandbox();
	page = fake_page(box);
	return 0;
}

void fake_check_no_hole(void)
{
	uint64_t at = box->memory.arena[0].start, start, end;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2 || end <= at)
			continue;
		if (at >= box->memory.arena[0].end)
			break;
		if (start > at)
			fail_msg("a hole at %#lx-%#lx", at, start);
		at = end;
	}
	fclose(maps);
}

long fake_syscall(struct sandbox *box, uint64_t nr, const uint64_t args[6])
{
	struct dune_frame frame = {
		.rax = nr,
		.rdi = args[0],
		.rsi = args[1],
		.rdx = args[2],
		.r10 = args[3],
		.r8 = args[4],
		.r9 = args[5],
		.cs = 0x33,
	};

	fake_stopped = false;
	sandbox_call_handle(box, &frame);
	return frame.rax;
}
