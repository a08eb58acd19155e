// SPDX-License-Identifier: GPL-2.0-only
/*
 * A system call of ring 3, from libdune's trap path to its result. The row of the table says how
 * each argument is checked and what is then done: allowed calls go to the host by dune_syscall(),
 * emulated ones to memory.c, file.c, descriptor.c, readiness.c, socket.c, signals.c or process.c.
 */
#include "syscall.h"
#include "descriptor.h"
#include "sandbox.h"
#include "space.h"
#include "trace.h"

#include <dune.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

static int prepare_string(struct sandbox_call *call, int i)
{
	char *copy = call->string[call->nr_strings];
	long length;

	if (call->nr_strings == sizeof(call->string) / sizeof(call->string[0]))
		return -EFAULT;
	call->nr_strings++;
	call->arg[i] = (uint64_t)copy;
	length = sandbox_space_read_string(copy, call->user[i], sizeof(call->string[0]));
	return length < 0 ? length : 0;
}

/* The number of things that a pointer argument points to; converted as the kernel would. */
static uint64_t count_of(const struct sandbox_call *call, const struct sandbox_arg *arg)
{
	uint64_t value;

	if (!arg->count)
		return 1;
	value = call->user[arg->count - 1];
	switch (call->row->arg[arg->count - 1].kind) {
	case ARG_INT:
		return (int64_t)(int32_t)value;
	case ARG_UINT:
		return (uint32_t)value;
	default:
		return value;
	}
}

/* A number of elements that is an int; of bytes, which are a size_t, none is too large to be one. */
static bool count_is_negative(const struct sandbox_call *call, const struct sandbox_arg *arg)
{
	return arg->count && call->row->arg[arg->count - 1].kind == ARG_INT &&
	       (int32_t)call->user[arg->count - 1] < 0;
}

static int prepare_size(struct sandbox_call *call, int i)
{
	if (sandbox_space_read(&call->size, call->user[i], sizeof(call->size)))
		return -EFAULT;
	call->arg[i] = (uint64_t)&call->size;
	return call->size > INT_MAX ? -EINVAL : 0;
}

static int prepare_iovec(struct sandbox_call *call, int i, const struct sandbox_arg *arg)
{
	call->arg[i] = (uint64_t)call->iovec;
	return sandbox_space_read_iovec(call->iovec, call->user[i], count_of(call, arg));
}

static int prepare_argument(struct sandbox_call *call, int i)
{
	const struct sandbox_arg *arg = &call->row->arg[i];
	uint64_t value = call->user[i];

	call->arg[i] = value;
	if (arg->optional && value == 0)
		return 0;
	switch ((enum sandbox_arg_kind)arg->kind) {
	case ARG_NONE:
		call->arg[i] = 0;
		return 0;
	case ARG_LONG:
	case ARG_ADDRESS:
		return 0;
	case ARG_INT:
		call->arg[i] = (int64_t)(int32_t)value;
		return 0;
	case ARG_UINT:
		call->arg[i] = (uint32_t)value;
		return 0;
	case ARG_FD:
		call->arg[i] = (int64_t)(int32_t)value;
		return sandbox_fds_hidden(call->box, value) ? -EBADF : 0;
	case ARG_STRING:
		return prepare_string(call, i);
	case ARG_IN:
	case ARG_OUT:
	case ARG_INOUT:
		if (count_is_negative(call, arg))
			return -EINVAL;
		return sandbox_space_check_array(value, count_of(call, arg), arg->bytes);
	case ARG_IN_IOVEC:
	case ARG_OUT_IOVEC:
		return prepare_iovec(call, i, arg);
	case ARG_OUT_SIZED:
		return sandbox_space_check(value, call->size);
	case ARG_SIZE:
		return prepare_size(call, i);
	}
	return -EFAULT;
}

long sandbox_call_prepare(struct sandbox_call *call)
{
	long result;

	call->nr_strings = 0;
	call->size = 0;
	/* Sizes first: they are fetched once, and the buffers are then checked against the copy. */
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < SANDBOX_NR_ARGS; i++) {
			if ((call->row->arg[i].kind == ARG_SIZE) != (pass == 0))
				continue;
			result = prepare_argument(call, i);
			if (result)
				return result;
		}
	}
	return 0;
}

long sandbox_call_forward(struct sandbox_call *call)
{
	return dune_syscall(call->nr, call->arg[0], call->arg[1], call->arg[2], call->arg[3],
			    call->arg[4], call->arg[5]);
}

/* What the kernel wrote to a copy goes to ring 3. */
static long finish(struct sandbox_call *call, long result)
{
	for (int i = 0; i < SANDBOX_NR_ARGS; i++) {
		if (result >= 0 && call->row->arg[i].kind == ARG_SIZE &&
		    call->arg[i] == (uint64_t)&call->size &&
		    sandbox_space_write(call->user[i], &call->size, sizeof(call->size)))
			return -EFAULT;
	}
	return result;
}

static long act(struct sandbox_call *call)
{
	const struct sandbox_row *row = call->row;
	long result;

	if (!row)
		return -ENOSYS;
	if (row->action == ACTION_DENY)
		return -row->error;
	result = sandbox_call_prepare(call);
	if (result)
		return result;
	result = row->emulate ? row->emulate(call) : sandbox_call_forward(call);
	return finish(call, result);
}

static void count(struct sandbox *box, long nr, long result)
{
	unsigned slot = (unsigned long)nr < SANDBOX_NR_COUNTED ? nr : SANDBOX_NR_COUNTED - 1;

	box->calls[slot]++;
	if (result < 0 && result >= -4095)
		box->errors[slot]++;
}

void sandbox_call_handle(struct sandbox *box, struct dune_frame *frame)
{
	struct sandbox_call *call = &box->call;
	long result;

	call->box = box;
	call->frame = frame;
	call->nr = frame->rax;
	call->row = sandbox_table_row(frame->rax);
	call->user[0] = frame->rdi;
	call->user[1] = frame->rsi;
	call->user[2] = frame->rdx;
	call->user[3] = frame->r10;
	call->user[4] = frame->r8;
	call->user[5] = frame->r9;

	call->ended = false;
	result = act(call);
	if (!call->ended) /* else the frame is libdune's, and no longer the program's */
		frame->rax = result;
	if (box->count)
		count(box, call->nr, result);
	if (box->trace_fd >= 0)
		sandbox_trace_call(call, result);
}
