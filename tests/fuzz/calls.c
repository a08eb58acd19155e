// SPDX-License-Identifier: GPL-2.0-only
/*
 * One random call for each step, and what it must return; see fuzzer.h. run.c
 * has the call that runs a guest.
 */
#define _GNU_SOURCE
#include "fuzzer.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* ---- What came back -------------------------------------------------------------- */

void now_calling(struct fuzzer *fuzzer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(fuzzer->call, sizeof(fuzzer->call), format, arguments);
	va_end(arguments);
}

void fuzzer_fail(struct fuzzer *fuzzer, const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	FAIL("seed %llu, %u threads, thread %u, step %llu: %s: %s",
	     (unsigned long long)fuzzer->world->seed, fuzzer->world->nr_threads, fuzzer->thread,
	     (unsigned long long)fuzzer->step, fuzzer->call, text);
}

/* dune(4), "ERRORS", what the calls can say that lead there, and EIO: KVM's ESTALE. */
static const int documented[] = { EIO,	  EINVAL, EFAULT, ENOTTY, ESTALE,     EBUSY,
				  EEXIST, ENOENT, EBADF,  ENOMEM, EOPNOTSUPP, EINTR,
				  ENODEV, ESPIPE, EMFILE, EPERM,  EACCES,     0 };

void expect(struct fuzzer *fuzzer, long result, bool can_succeed, const int *errors)
{
	int error = result < 0 ? errno : 0;

	if (!fuzzer->world->exact) {
		errors = documented;
		can_succeed = true;
	}
	if (!error) {
		if (!can_succeed)
			fuzzer_fail(fuzzer, "succeeded with %ld", result);
		return;
	}
	for (; *errors; errors++)
		if (*errors == error)
			return;
	fuzzer_fail(fuzzer, "errno %d (%s)", error, strerror(error));
}

/* ---- Objects that are not what the call is for -------------------------------------- */

enum { FOR_VM = 1, FOR_VCPU = 2 };

static const char *const kind_names[] = { "vm", "vcpu", "foreign vm", "foreign vcpu", "other" };

static bool is_for(const struct object *object, int targets)
{
	return (object->kind == KIND_VM && targets & FOR_VM) ||
	       (object->kind == KIND_VCPU && targets & FOR_VCPU);
}

static void call_misfit(struct fuzzer *fuzzer, struct object *object, int targets,
			unsigned long number, void *argument)
{
	int fd = atomic_load(&object->fd);
	long result;

	if (fd < 0) {
		now_calling(fuzzer, "ioctl(no descriptor, %#lx)", number);
		expect(fuzzer, ioctl(FD_NEVER_OPEN, number, argument), false, ERRNO_SET(EBADF));
		return;
	}
	now_calling(fuzzer, "ioctl(%s, %#lx, %p)", kind_names[object->kind], number, argument);
	result = ioctl(fd, number, argument);
	switch (object->kind) {
	case KIND_VM:
	case KIND_VCPU:
		expect(fuzzer, result, false, ERRNO_SET(ENOTTY));
		break;
	case KIND_FOREIGN_VM:
		expect(fuzzer, result, false, ERRNO_SET(ESTALE));
		break;
	case KIND_FOREIGN_VCPU:
		if (targets & FOR_VCPU)
			expect(fuzzer, result, false, ERRNO_SET(ESTALE, EFAULT, EINVAL));
		else
			expect(fuzzer, result, false, ERRNO_SET(ENOTTY));
		break;
	default: /* what its own driver says */
		if (fuzzer->world->exact && result >= 0)
			fuzzer_fail(fuzzer, "succeeded with %ld", result);
	}
}

/*
 * The object to call. If it is not for the call, the call is made all the same,
 * and NULL returned.
 */
static struct object *find_target(struct fuzzer *fuzzer, int targets, unsigned long number,
				  void *argument)
{
	struct object *object = pick_object(fuzzer);

	if (atomic_load(&object->fd) < 0 || !is_for(object, targets)) {
		call_misfit(fuzzer, object, targets, number, argument);
		return NULL;
	}
	return object;
}

/* Calls, and expects success or EFAULT, as the argument is good for it or not. */
static void call_with(struct fuzzer *fuzzer, struct object *object, const char *name,
		      unsigned long number, const struct argument *argument, bool good)
{
	long result;

	now_calling(fuzzer, "%s(%p)", name, argument->pointer);
	result = ioctl(atomic_load(&object->fd), number, argument->pointer);
	if (good)
		expect(fuzzer, result, true, ERRNO_SET(ENOMEM));
	else
		expect(fuzzer, result, false, ERRNO_SET(EFAULT));
}

/* ---- Calls on a vm ------------------------------------------------------------------- */

static void call_get_caps(struct fuzzer *fuzzer)
{
	const struct dune_caps caps = { 0 };
	struct argument argument = random_argument(fuzzer, &caps, sizeof(caps));
	struct object *object = find_target(fuzzer, FOR_VM, DUNE_GET_CAPS, argument.pointer);

	if (object)
		call_with(fuzzer, object, "DUNE_GET_CAPS", DUNE_GET_CAPS, &argument,
			  argument.writable);
}

static void call_get_counts(struct fuzzer *fuzzer)
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

static void call_hold_kvm(struct fuzzer *fuzzer)
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

static void call_set_tile(struct fuzzer *fuzzer)
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
		expect(fuzzer, result, true, documented);
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
		expect(fuzzer, result, true, documented);
}

static void call_create_vcpu(struct fuzzer *fuzzer)
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

static void call_flush_tlb(struct fuzzer *fuzzer)
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

/* ---- Calls on a vcpu ------------------------------------------------------------------ */

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

static void call_get_state(struct fuzzer *fuzzer)
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

static void call_set_state(struct fuzzer *fuzzer)
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
static void call_run_wrongly(struct fuzzer *fuzzer)
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

static void map_run_page(struct fuzzer *fuzzer)
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

/* ---- Calls on any descriptor ------------------------------------------------------------- */

/* Numbers near ours; those that the kernel answers itself for each file are others. */
static void call_unknown_number(struct fuzzer *fuzzer)
{
	static const unsigned long known[] = {
		DUNE_GET_CAPS,	DUNE_HOLD_KVM,	DUNE_SET_TILE, DUNE_CREATE_VCPU, DUNE_FLUSH_TLB,
		DUNE_GET_STATS, DUNE_GET_EXITS, DUNE_RUN,      DUNE_GET_STATE,	 DUNE_SET_STATE,
	};
	const unsigned nr_known = sizeof(known) / sizeof(known[0]);
	unsigned long number = known[random_below(&fuzzer->random, nr_known)];
	struct argument argument;
	char bytes[256] = { 0 };

	do
		number ^= 1ul << random_below(&fuzzer->random, 32);
	while ((number & 0xff00) != 0xde00 || random_one_in(&fuzzer->random, 2));
	for (unsigned i = 0; i < nr_known; i++)
		if (number == known[i])
			return;
	argument = random_argument(fuzzer, bytes, sizeof(bytes));
	call_misfit(fuzzer, pick_object(fuzzer), 0, number, argument.pointer);
}

static void call_something_else(struct fuzzer *fuzzer)
{
	struct object *object = pick_object(fuzzer);
	int fd = atomic_load(&object->fd);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN | POLLOUT };
	char byte = 0;

	if (fd < 0 || object->kind == KIND_OTHER)
		return;
	now_calling(fuzzer, "read, write and such of a %s", kind_names[object->kind]);
	switch (random_below(&fuzzer->random, 6)) {
	case 0:
		expect(fuzzer, read(fd, &byte, 1), false, ERRNO_SET(EINVAL));
		break;
	case 1:
		expect(fuzzer, write(fd, &byte, 1), false, ERRNO_SET(EINVAL));
		break;
	case 2:
		expect(fuzzer, ftruncate(fd, random_value(&fuzzer->random)), false,
		       ERRNO_SET(EINVAL));
		break;
	case 3:
		expect(fuzzer, poll(&poll_fd, 1, 0), true, ERRNO_SET(0));
		break;
	case 4:
		expect(fuzzer, fcntl(fd, F_SETFL, O_NONBLOCK), true, ERRNO_SET(0));
		break;
	case 5:
		expect(fuzzer, fcntl(fd, F_SETFD, FD_CLOEXEC), true, ERRNO_SET(0));
		break;
	}
}

static void duplicate(struct fuzzer *fuzzer)
{
	struct object *object = pick_object(fuzzer), *copy;
	struct dune_run *run = NULL;
	int fd = atomic_load(&object->fd);

	now_calling(fuzzer, "dup");
	if (fd < 0 || object->kind == KIND_OTHER || !(copy = reserve_object(fuzzer)))
		return;
	fd = dup(fd);
	expect(fuzzer, fd, true, ERRNO_SET(0));
	if (fd < 0) {
		atomic_store(&copy->fd, OBJECT_EMPTY);
		return;
	}
	if (object->kind == KIND_VCPU) {
		run = mmap(NULL, DUNE_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		run = run == MAP_FAILED ? NULL : run;
	}
	fill_object(copy, fd, object->kind, object->vm, run);
	copy->has_state = object->has_state;
}

static void close_one(struct fuzzer *fuzzer)
{
	struct object *object = pick_object(fuzzer);

	now_calling(fuzzer, "close");
	if (object->kind != KIND_OTHER)
		close_object(fuzzer, object);
}

static void open_one(struct fuzzer *fuzzer)
{
	open_vm(fuzzer);
}

/* What others read at this moment: arguments, and the run page. */
static void scribble(struct fuzzer *fuzzer)
{
	struct object *object = pick_kind(fuzzer, KIND_VCPU);
	struct dune_run *run = object ? object->run : NULL;
	uint32_t *shared = (uint32_t *)(fuzzer->world->scratch + NR_THREADS * 4 * 4096);

	for (unsigned i = 0; i < 16; i++)
		shared[random_below(&fuzzer->random, 128)] = random_value(&fuzzer->random);
	if (run)
		((volatile uint32_t *)run)[random_below(&fuzzer->random, 1024)] =
			random_value(&fuzzer->random);
}

/* ---- Which -------------------------------------------------------------------------------- */

static const struct {
	unsigned weight;
	void (*make)(struct fuzzer *fuzzer);
} calls[] = {
	{ 40, run_guest },	  { 10, call_get_caps },
	{ 10, call_get_counts },  { 10, call_hold_kvm },
	{ 20, call_set_tile },	  { 10, call_create_vcpu },
	{ 6, call_flush_tlb },	  { 15, call_get_state },
	{ 20, call_set_state },	  { 10, map_run_page },
	{ 10, call_run_wrongly }, { 15, call_unknown_number },
	{ 10, scribble },	  { 10, call_something_else },
	{ 6, duplicate },	  { 6, close_one },
	{ 5, open_one },	  { 20, change_mappings },
	{ 4, pass_to_stranger },  { 1, call_from_fork_child },
};

void fuzzer_step(struct fuzzer *fuzzer)
{
	static unsigned total;
	unsigned chosen, i;

	/* Whatever the last step drew: that may depend on when it was interrupted. */
	fuzzer->random.state =
		fuzzer->world->seed ^ (uint64_t)fuzzer->thread << 56 ^ fuzzer->step << 24;
	fuzzer->random.state = random_bits(&fuzzer->random);

	if (!total) {
		unsigned sum = 0;

		for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
			sum += calls[i].weight;
		total = sum;
	}
	chosen = random_below(&fuzzer->random, total);
	for (i = 0; chosen >= calls[i].weight; i++)
		chosen -= calls[i].weight;
	calls[i].make(fuzzer);
	fuzzer->step++;
}
