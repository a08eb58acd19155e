// SPDX-License-Identifier: GPL-2.0-only
/* Random calls on a vcpu, but for those that run its guest: run.c. */
#define _GNU_SOURCE
#include "calls.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

static uint64_t any_groups(struct fuzzer *fuzzer)
{
	if (random_one_in(&fuzzer->random, 8))
		return random_value(&fuzzer->random);
	return random_below(&fuzzer->random, DUNE_STATE_ALL + 1);
}

static bool groups_are_valid(uint64_t groups)
{
	return groups && !(groups & ~(uint64_t)DUNE_STATE_ALL);
}

void call_get_state(struct fuzzer *fuzzer)
{
	struct dune_state state = { .groups = any_groups(fuzzer) };
	struct argument argument = random_argument(fuzzer, &state, sizeof(state));
	struct object *object = find_target(fuzzer, FOR_VCPU, DUNE_GET_STATE, argument.pointer);
	long result;

	if (!object)
		return;
	now_calling(fuzzer, "DUNE_GET_STATE(%p, groups %#llx)", argument.pointer,
		    (unsigned long long)state.groups);
	result = ioctl(atomic_load(&object->fd), DUNE_GET_STATE, argument.pointer);
	if (!argument.readable)
		expect(fuzzer, result, false, ERRNO_SET(EFAULT));
	else if (!groups_are_valid(state.groups))
		expect(fuzzer, result, false, ERRNO_SET(EINVAL));
	else
		expect(fuzzer, result, argument.writable,
		       argument.writable ? ERRNO_SET(0) : ERRNO_SET(EFAULT));
}

void call_set_state(struct fuzzer *fuzzer)
{
	const struct guest_limits *limits = &fuzzer->world->limits;
	struct dune_state state = random_guest_state(&fuzzer->random, fuzzer->memory, limits);
	bool bad = false;
	struct argument argument;
	struct object *object;
	long result;

	if (random_one_in(&fuzzer->random, 2)) {
		bad = random_guest_damage(&fuzzer->random, &state, limits);
	} else if (random_one_in(&fuzzer->random, 2)) {
		state.groups = any_groups(fuzzer);
		bad = !groups_are_valid(state.groups);
	}
	argument = random_argument(fuzzer, &state, sizeof(state));
	object = find_target(fuzzer, FOR_VCPU, DUNE_SET_STATE, argument.pointer);
	if (!object)
		return;
	now_calling(fuzzer, "DUNE_SET_STATE(%p, groups %#llx)", argument.pointer,
		    (unsigned long long)state.groups);
	result = ioctl(atomic_load(&object->fd), DUNE_SET_STATE, argument.pointer);
	if (!argument.readable)
		expect(fuzzer, result, false, ERRNO_SET(EFAULT));
	else
		expect(fuzzer, result, !bad, bad ? ERRNO_SET(EINVAL) : ERRNO_SET(0));
	if (!result && state.groups & DUNE_STATE_REGS)
		object->has_state = true;
}

/* Ways to call that run nothing. */
void call_run_wrongly(struct fuzzer *fuzzer)
{
	uint64_t argument = random_value(&fuzzer->random) | 1;
	struct object *object = find_target(fuzzer, FOR_VCPU, DUNE_RUN, (void *)argument);
	int whence = random_value(&fuzzer->random);
	long result;

	if (!object)
		return;
	if (random_one_in(&fuzzer->random, 2)) {
		now_calling(fuzzer, "lseek(%#llx, %d)", (unsigned long long)argument, whence);
		result = lseek(atomic_load(&object->fd), argument, whence);
	} else {
		now_calling(fuzzer, "DUNE_RUN(%#llx)", (unsigned long long)argument);
		result = ioctl(atomic_load(&object->fd), DUNE_RUN, argument);
	}
	expect(fuzzer, result, false, ERRNO_SET(EINVAL));
}

static void use_mapping(struct fuzzer *fuzzer, char *map, size_t bytes)
{
	switch (random_below(&fuzzer->random, 5)) {
	case 0:
		mprotect(map, bytes, random_below(&fuzzer->random, 8));
		break;
	case 1:
		madvise(map, bytes, random_below(&fuzzer->random, 26));
		break;
	case 2:
		now_calling(fuzzer, "mremap of a run page to two");
		if (mremap(map, bytes, 8192, MREMAP_MAYMOVE) != MAP_FAILED)
			fuzzer_fail(fuzzer, "it grew");
		break;
	case 3:
		mlock(map, bytes);
		break;
	}
	munmap(map, bytes);
}

void map_run_page(struct fuzzer *fuzzer)
{
	struct object *object = pick_object(fuzzer);
	size_t bytes = random_one_in(&fuzzer->random, 4) ? random_below(&fuzzer->random, 20000)
							 : DUNE_RUN_SIZE;
	int flags = random_one_in(&fuzzer->random, 4) ? MAP_PRIVATE : MAP_SHARED;
	int protection = random_below(&fuzzer->random, random_one_in(&fuzzer->random, 4) ? 8 : 4);
	uint64_t offset =
		random_one_in(&fuzzer->random, 4) ? 4096 * random_below(&fuzzer->random, 4) : 0;
	int fd = atomic_load(&object->fd);
	bool right = flags == MAP_SHARED && !(protection & PROT_EXEC) && !offset && bytes &&
		     bytes <= DUNE_RUN_SIZE;
	char *map;

	now_calling(fuzzer, "mmap(%s, %zu bytes, protection %d, flags %d, offset %#llx)",
		    kind_names[object->kind], bytes, protection, flags, (unsigned long long)offset);
	/* /dev/kvm's and its like are not ours to look at. */
	if (fd < 0 || object->kind == KIND_OTHER)
		return;
	map = mmap(NULL, bytes, protection, flags, fd, offset);
	/* Linux's own answer from 6.17 on: nothing of an anonymous file is executable. */
	if (map == MAP_FAILED && errno == EPERM && protection & PROT_EXEC)
		return;
	if (object->kind == KIND_VCPU)
		expect(fuzzer, map == MAP_FAILED ? -1 : 0, right,
		       right ? ERRNO_SET(0) : ERRNO_SET(EINVAL));
	else
		expect(fuzzer, map == MAP_FAILED ? -1 : 0, false,
		       ERRNO_SET(ENODEV, ESTALE, EINVAL));
	if (map != MAP_FAILED && fuzzer->world->exact)
		use_mapping(fuzzer, map, (bytes + 4095) & -4096ul);
	else if (map != MAP_FAILED)
		munmap(map, bytes);
}
