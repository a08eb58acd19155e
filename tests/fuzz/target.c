// SPDX-License-Identifier: GPL-2.0-only
/* Calls on an object, and on one that the call is not for; see calls.h. */
#define _GNU_SOURCE
#include "calls.h"

#include <sys/ioctl.h>

const char *const kind_names[] = { "vm", "vcpu", "foreign vm", "foreign vcpu", "other" };

static bool is_for(const struct object *object, int targets)
{
	return (object->kind == KIND_VM && targets & FOR_VM) ||
	       (object->kind == KIND_VCPU && targets & FOR_VCPU);
}

void call_misfit(struct fuzzer *fuzzer, struct object *object, int targets, unsigned long number,
		 void *argument)
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

struct object *find_target(struct fuzzer *fuzzer, int targets, unsigned long number, void *argument)
{
	struct object *object = pick_object(fuzzer);

	if (atomic_load(&object->fd) < 0 || !is_for(object, targets)) {
		call_misfit(fuzzer, object, targets, number, argument);
		return NULL;
	}
	return object;
}

void call_with(struct fuzzer *fuzzer, struct object *object, const char *name, unsigned long number,
	       const struct argument *argument, bool good)
{
	long result;

	now_calling(fuzzer, "%s(%p)", name, argument->pointer);
	result = ioctl(atomic_load(&object->fd), number, argument->pointer);
	if (good)
		expect(fuzzer, result, true, ERRNO_SET(ENOMEM));
	else
		expect(fuzzer, result, false, ERRNO_SET(EFAULT));
}
