// SPDX-License-Identifier: GPL-2.0-only
/* Random calls on a vm; DUNE_GET_STATS and DUNE_GET_EXITS are a vcpu's as well. */
#define _GNU_SOURCE
#include "calls.h"

#include <sys/ioctl.h>

void call_get_caps(struct fuzzer *fuzzer)
{
	const struct dune_caps caps = { 0 };
	struct argument argument = random_argument(fuzzer, &caps, sizeof(caps));
	struct object *object = find_target(fuzzer, FOR_VM, DUNE_GET_CAPS, argument.pointer);

	if (object)
		call_with(fuzzer, object, "DUNE_GET_CAPS", DUNE_GET_CAPS, &argument,
			  argument.writable);
}

void call_get_counts(struct fuzzer *fuzzer)
{
	const struct dune_stats stats = { 0 };
	const struct dune_exits exits = { 0 };
	bool is_stats = random_one_in(&fuzzer->random, 2);
	unsigned long number = is_stats ? DUNE_GET_STATS : DUNE_GET_EXITS;
	struct argument argument = is_stats ? random_argument(fuzzer, &stats, sizeof(stats))
					    : random_argument(fuzzer, &exits, sizeof(exits));
	struct object *object = find_target(fuzzer, FOR_VM | FOR_VCPU, number, argument.pointer);

	if (object)
		call_with(fuzzer, object, is_stats ? "DUNE_GET_STATS" : "DUNE_GET_EXITS", number,
			  &argument, argument.writable);
}

static int any_descriptor(struct fuzzer *fuzzer)
{
	switch (random_below(&fuzzer->random, 6)) {
	case 0:
		return -1;
	case 1:
		return FD_NEVER_OPEN;
	case 2:
		return random_value(&fuzzer->random);
	case 3:
		return fuzzer->world->kvm_vm;
	default:
		return atomic_load(&pick_object(fuzzer)->fd);
	}
}

void call_hold_kvm(struct fuzzer *fuzzer)
{
	struct dune_hold_kvm hold = { .kvm_vm_fd = any_descriptor(fuzzer) };
	struct argument argument;
	struct object *object;
	struct vm_model *vm;
	long result;

	if (random_one_in(&fuzzer->random, 8))
		hold.flags = random_value(&fuzzer->random);
	if (random_one_in(&fuzzer->random, 4))
		hold = (struct dune_hold_kvm){ .flags = DUNE_HOLD_SHARED };
	argument = random_argument(fuzzer, &hold, sizeof(hold));
	object = find_target(fuzzer, FOR_VM, DUNE_HOLD_KVM, argument.pointer);
	if (!object)
		return;
	vm = object->vm;
	now_calling(fuzzer, "DUNE_HOLD_KVM(fd %d, flags %#x)", hold.kvm_vm_fd, hold.flags);
	result = ioctl(atomic_load(&object->fd), DUNE_HOLD_KVM, argument.pointer);
	if (!argument.readable)
		expect(fuzzer, result, false, ERRNO_SET(EFAULT));
	else if (hold.flags & ~DUNE_HOLD_SHARED || (hold.flags && hold.kvm_vm_fd))
		expect(fuzzer, result, false, ERRNO_SET(EINVAL));
	else if (!hold.flags && (hold.kvm_vm_fd < 0 || hold.kvm_vm_fd != fuzzer->world->kvm_vm))
		expect(fuzzer, result, false, ERRNO_SET(EBADF, EINVAL));
	else if (fuzzer->world->exact && (vm->kvm_held || vm->own_vmx))
		expect(fuzzer, result, false, ERRNO_SET(EBUSY, ENOENT));
	else
		expect(fuzzer, result, true, hold.flags ? ERRNO_SET(ENOENT) : ERRNO_SET(ENOMEM));
	if (fuzzer->world->exact && !result)
		vm->kvm_held = true;
}

static uint32_t any_tile(struct fuzzer *fuzzer)
{
	uint32_t nr_tiles = fuzzer->world->limits.caps.nr_tiles;

	switch (random_below(&fuzzer->random, 8)) {
	case 0:
		return nr_tiles - 1;
	case 1:
		return nr_tiles + random_below(&fuzzer->random, 3);
	case 2:
		return -random_below(&fuzzer->random, 3);
	default:
		return random_below(&fuzzer->random, MODEL_TILES - 1);
	}
}

static uint64_t any_piece(struct fuzzer *fuzzer)
{
	uint64_t hva = (uintptr_t)fuzzer->world->memory[random_below(&fuzzer->random, 4)].host;

	switch (random_below(&fuzzer->random, 8)) {
	case 0:
		return hva | 1ull << random_below(&fuzzer->random, 30);
	case 1:
		return random_value(&fuzzer->random);
	case 2:
		return random_value(&fuzzer->random) & -1ull << DUNE_TILE_SHIFT;
	default:
		return hva;
	}
}

/* Where the model keeps a tile: the last there is comes after the first few. */
static unsigned model_index(struct fuzzer *fuzzer, uint32_t tile)
{
	return tile == fuzzer->world->limits.caps.nr_tiles - 1 ? MODEL_TILES - 1 : tile;
}

static bool is_guest_memory(struct fuzzer *fuzzer, uint64_t hva)
{
	for (unsigned i = 0; i < 4; i++)
		if ((uintptr_t)fuzzer->world->memory[i].host == hva)
			return true;
	return false;
}

static bool is_shown(const struct vm_model *vm, uint64_t hva)
{
	for (unsigned i = 0; i < MODEL_TILES; i++)
		if (vm->shown[i] == hva + 1)
			return true;
	return false;
}

static bool tile_is_valid(struct fuzzer *fuzzer, const struct dune_tile *tile)
{
	if (tile->flags & ~DUNE_TILE_CLEAR || tile->tile >= fuzzer->world->limits.caps.nr_tiles)
		return false;
	if (tile->flags)
		return !tile->hva;
	return !(tile->hva & (PIECE_BYTES - 1)) && tile->hva < 0x7ffffffff000;
}

static void expect_set_tile(struct fuzzer *fuzzer, struct vm_model *vm,
			    const struct dune_tile *tile, long result)
{
	uint64_t *shown = &vm->shown[model_index(fuzzer, tile->tile)];

	if (tile->flags) {
		expect(fuzzer, result, *shown, *shown ? ERRNO_SET(0) : ERRNO_SET(ENOENT));
		*shown = 0;
		return;
	}
	if (!is_guest_memory(fuzzer, tile->hva))
		expect(fuzzer, result, !*shown, ERRNO_SET(EFAULT, EEXIST, ENOMEM));
	else if (*shown || is_shown(vm, tile->hva))
		expect(fuzzer, result, false, ERRNO_SET(EEXIST));
	else
		expect(fuzzer, result, true, ERRNO_SET(ENOMEM));
	if (!result)
		*shown = tile->hva + 1;
}

void call_set_tile(struct fuzzer *fuzzer)
{
	struct dune_tile tile = { .tile = any_tile(fuzzer) };
	struct argument argument;
	struct object *object;
	long result;

	if (random_one_in(&fuzzer->random, 3))
		tile.flags = DUNE_TILE_CLEAR;
	else
		tile.hva = any_piece(fuzzer);
	if (random_one_in(&fuzzer->random, 16))
		tile.flags ^= random_value(&fuzzer->random);
	if (random_one_in(&fuzzer->random, 16))
		tile.hva = random_value(&fuzzer->random);
	argument = random_argument(fuzzer, &tile, sizeof(tile));
	object = find_target(fuzzer, FOR_VM, DUNE_SET_TILE, argument.pointer);
	if (!object)
		return;
	now_calling(fuzzer, "DUNE_SET_TILE(tile %u, flags %#x, hva %#llx)", tile.tile, tile.flags,
		    (unsigned long long)tile.hva);
	result = ioctl(atomic_load(&object->fd), DUNE_SET_TILE, argument.pointer);
	if (!argument.readable)
		expect(fuzzer, result, false, ERRNO_SET(EFAULT));
	else if (!tile_is_valid(fuzzer, &tile))
		expect(fuzzer, result, false, ERRNO_SET(EINVAL));
	else if (fuzzer->world->exact)
		expect_set_tile(fuzzer, object->vm, &tile, result);
	else
		expect(fuzzer, result, true, ERRNO_SET(0));
}

void set_tile_of_guest(struct fuzzer *fuzzer, struct object *vm)
{
	struct dune_tile tile = { .tile = fuzzer->memory->gpa >> DUNE_TILE_SHIFT,
				  .hva = (uintptr_t)fuzzer->memory->host };

	now_calling(fuzzer, "DUNE_SET_TILE for a guest");
	long result = ioctl(atomic_load(&vm->fd), DUNE_SET_TILE, &tile);

	if (fuzzer->world->exact)
		expect_set_tile(fuzzer, vm->vm, &tile, result);
	else
		expect(fuzzer, result, true, ERRNO_SET(0));
}

void call_create_vcpu(struct fuzzer *fuzzer)
{
	uint64_t argument = random_one_in(&fuzzer->random, 4) ? random_value(&fuzzer->random) : 0;
	struct object *object = find_target(fuzzer, FOR_VM, DUNE_CREATE_VCPU, (void *)argument);

	if (!object)
		return;
	if (!argument) {
		create_vcpu(fuzzer, object);
		return;
	}
	now_calling(fuzzer, "DUNE_CREATE_VCPU(%#llx)", (unsigned long long)argument);
	expect(fuzzer, ioctl(atomic_load(&object->fd), DUNE_CREATE_VCPU, argument), false,
	       ERRNO_SET(EINVAL));
}

void call_flush_tlb(struct fuzzer *fuzzer)
{
	uint64_t argument = random_one_in(&fuzzer->random, 4) ? random_value(&fuzzer->random) : 0;
	struct object *object = find_target(fuzzer, FOR_VM, DUNE_FLUSH_TLB, (void *)argument);
	long result;

	if (!object)
		return;
	now_calling(fuzzer, "DUNE_FLUSH_TLB(%#llx)", (unsigned long long)argument);
	result = ioctl(atomic_load(&object->fd), DUNE_FLUSH_TLB, argument);
	expect(fuzzer, result, !argument, argument ? ERRNO_SET(EINVAL) : ERRNO_SET(0));
}
