// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors that calls are made on: vms, vcpus, those of another process, and
 * others that have nothing to do with Dune; see fuzzer.h.
 */
#define _GNU_SOURCE
#include "fuzzer.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

struct object *pick_object(struct fuzzer *fuzzer)
{
	return &fuzzer->world->objects[random_below(&fuzzer->random, NR_OBJECTS)];
}

struct object *pick_kind(struct fuzzer *fuzzer, enum kind kind)
{
	unsigned first = random_below(&fuzzer->random, NR_OBJECTS);

	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		struct object *object = &fuzzer->world->objects[(first + i) % NR_OBJECTS];

		if (atomic_load(&object->fd) >= 0 && object->kind == kind)
			return object;
	}
	return NULL;
}

struct object *reserve_object(struct fuzzer *fuzzer)
{
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		struct object *object = &fuzzer->world->objects[i];
		int empty = OBJECT_EMPTY;

		if (atomic_compare_exchange_strong(&object->fd, &empty, OBJECT_RESERVED))
			return object;
	}
	return NULL;
}

void fill_object(struct object *object, int fd, enum kind kind, struct vm_model *vm,
		 struct dune_run *run)
{
	object->kind = kind;
	object->vm = vm;
	object->run = run;
	object->has_state = false;
	if (vm)
		vm->users++;
	atomic_store(&object->fd, fd);
}

static void put_vm(struct vm_model *vm)
{
	if (vm && !--vm->users)
		free(vm);
}

/* A page takes the place of the run page: other threads may be at it. */
static void unmap_run(struct dune_run *run)
{
	if (run)
		CHECK(mmap(run, DUNE_RUN_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == run);
}

void close_object(struct fuzzer *fuzzer, struct object *object)
{
	struct dune_run *run = object->run;
	struct vm_model *vm = object->vm;
	int fd = atomic_exchange(&object->fd, OBJECT_RESERVED);

	if (fd < 0) {
		atomic_store(&object->fd, fd);
		return;
	}
	CHECK_OK(close(fd));
	unmap_run(run);
	if (fuzzer->world->exact)
		put_vm(vm);
	atomic_store(&object->fd, OBJECT_EMPTY);
}

static void hold_kvm(struct fuzzer *fuzzer, int fd, struct vm_model *vm)
{
	struct dune_hold_kvm hold = { .kvm_vm_fd = fuzzer->world->kvm_vm };

	if (random_one_in(&fuzzer->random, 8))
		return;
	if (hold.kvm_vm_fd < 0)
		hold = (struct dune_hold_kvm){ .flags = DUNE_HOLD_SHARED };
	if (!ioctl(fd, DUNE_HOLD_KVM, &hold))
		vm->kvm_held = true;
	else /* it is a new vm */
		expect(fuzzer, -1, false, hold.flags ? ERRNO_SET(ENOENT) : ERRNO_SET(ENOMEM));
}

void open_vm(struct fuzzer *fuzzer)
{
	struct object *object = reserve_object(fuzzer);
	struct vm_model *vm;
	int fd;

	now_calling(fuzzer, "open");
	if (!object)
		return;
	fd = open("/dev/dune", O_RDWR | (random_one_in(&fuzzer->random, 2) ? O_CLOEXEC : 0));
	expect(fuzzer, fd, true, ERRNO_SET(EINTR, ENOMEM));
	if (fd < 0) {
		atomic_store(&object->fd, OBJECT_EMPTY);
		return;
	}
	vm = calloc(1, sizeof(*vm));
	hold_kvm(fuzzer, fd, vm);
	fill_object(object, fd, KIND_VM, vm, NULL);
}

void create_vcpu(struct fuzzer *fuzzer, struct object *vm)
{
	struct object *object = reserve_object(fuzzer);
	bool exact = fuzzer->world->exact;
	struct dune_run *run = NULL;
	int fd;

	now_calling(fuzzer, "ioctl(DUNE_CREATE_VCPU)");
	if (!object)
		return;
	fd = ioctl(atomic_load(&vm->fd), DUNE_CREATE_VCPU, 0);
	if (exact && !vm->vm->kvm_held && fuzzer->world->kvm_loaded)
		expect(fuzzer, fd, false, ERRNO_SET(EBUSY, EOPNOTSUPP));
	else
		expect(fuzzer, fd, true, ERRNO_SET(ENOMEM));
	if (fd < 0) {
		atomic_store(&object->fd, OBJECT_EMPTY);
		return;
	}
	if (exact && !vm->vm->kvm_held)
		vm->vm->own_vmx = true;
	run = mmap(NULL, DUNE_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (exact && run == MAP_FAILED)
		fuzzer_fail(fuzzer, "no mapping of the new vcpu: %s", strerror(errno));
	fill_object(object, fd, KIND_VCPU, exact ? vm->vm : NULL, run == MAP_FAILED ? NULL : run);
}
