// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's side of what guests see: mappings come, go and change, while other
 * threads' guests use them. See fuzzer.h.
 */
#define _GNU_SOURCE
#include "fuzzer.h"

#include <sys/mman.h>

enum { PAGE = 4096 };
/* Far from where the kernel puts mappings: nothing else gets into our holes. */
#define FIRST_PIECE 0x100000000000ul

void map_guest_memory(struct world *world, unsigned thread)
{
	struct guest_memory *memory = &world->memory[thread];
	char *at = (char *)FIRST_PIECE + (size_t)thread * PIECE_BYTES;

	memory->gpa = (uint64_t)thread << DUNE_TILE_SHIFT;
	memory->host =
		mmap(at, PIECE_BYTES, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(memory->host == at);
	CHECK_OK(mprotect(at, GUEST_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC));
}

static void map_anonymous(char *at, size_t bytes, int protection, int flags)
{
	CHECK(mmap(at, bytes, protection, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at);
}

static void map_file(char *at, size_t bytes, int protection, int flags)
{
	int fd = memfd_create("guest", 0);

	CHECK_OK(fd);
	/* The rest of the mapping is SIGBUS. */
	CHECK_OK(ftruncate(fd, bytes / 2));
	CHECK(mmap(at, bytes, protection, flags | MAP_FIXED, fd, 0) == at);
	close(fd);
}

/* There is a moment in which nothing is there. */
static void unmap(char *at, size_t bytes)
{
	CHECK_OK(munmap(at, bytes));
	map_anonymous(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
}

static void move(char *at, size_t bytes, int protection)
{
	char *elsewhere =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(elsewhere != MAP_FAILED);
	memset(elsewhere, 0x5a, bytes);
	CHECK(mremap(elsewhere, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at);
	mprotect(at, bytes, protection);
}

void change_mappings(struct fuzzer *fuzzer)
{
	struct random *random = &fuzzer->random;
	const struct world *world = fuzzer->world;
	unsigned pages = (GUEST_BYTES - GUEST_FIXED) / PAGE;
	unsigned first = random_below(random, pages);
	size_t bytes = PAGE * (1 + random_below(random, pages - first));
	char *at = world->memory[random_below(random, world->nr_threads)].host + GUEST_FIXED +
		   first * PAGE;
	int protection = random_below(random, 8);

	now_calling(fuzzer, "changing mappings");
	switch (random_below(random, 8)) {
	case 0:
		unmap(at, bytes);
		break;
	case 1:
		mprotect(at, bytes, protection);
		break;
	case 2:
		map_anonymous(at, bytes, protection, MAP_PRIVATE);
		break;
	case 3:
		map_anonymous(at, bytes, protection, MAP_SHARED);
		break;
	case 4:
		map_file(at, bytes, protection, MAP_SHARED);
		break;
	case 5:
		map_file(at, bytes, protection, MAP_PRIVATE);
		break;
	case 6:
		madvise(at, bytes, random_one_in(random, 2) ? MADV_DONTNEED : MADV_FREE);
		break;
	case 7:
		move(at, bytes, protection);
		break;
	}
}
