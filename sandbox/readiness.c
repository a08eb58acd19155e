// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for descriptors. Those of the runtime are not open for ring 3, so the kernel gets copies of
 * what ring 3 asks for, without them. Called by syscall.c in ring 0.
 */
#include "readiness.h"
#include "descriptor.h"
#include "sandbox.h"
#include "space.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

/* ---- poll, ppoll -------------------------------------------------------- */

/* Takes the hidden ones out of the copy; how many. */
static int drop_hidden(struct sandbox_call *call, uint64_t hidden[SANDBOX_FD_WORDS])
{
	int count = 0;

	for (uint64_t i = 0; i < call->arg[1]; i++) {
		if (!sandbox_fds_hidden(call->box, call->poll[i].fd))
			continue;
		hidden[i / 64] |= 1ull << i % 64;
		call->poll[i].fd = -1; /* the kernel leaves such ones alone */
		count++;
	}
	return count;
}

/* The kernel's answers, and for the hidden ones what it says of what is not open. */
static long write_events(struct sandbox_call *call, const uint64_t hidden[SANDBOX_FD_WORDS])
{
	const size_t offset = offsetof(struct pollfd, revents);

	for (uint64_t i = 0; i < call->arg[1]; i++) {
		short events = hidden[i / 64] >> i % 64 & 1 ? POLLNVAL : call->poll[i].revents;

		if (sandbox_space_write(call->user[0] + i * sizeof(struct pollfd) + offset, &events,
					sizeof(events)))
			return -EFAULT;
	}
	return 0;
}

/* at_once is what to wait with, in argument 2, where the answer is known. */
static long poll_copy(struct sandbox_call *call, uint64_t at_once)
{
	uint64_t hidden[SANDBOX_FD_WORDS] = { 0 };
	long result, nr_hidden;

	/* There are no more descriptors, and the kernel takes no more pollfds: limit_fds() in main.c. */
	if (call->arg[1] > SANDBOX_MAX_FDS)
		return -EINVAL;
	if (sandbox_space_read(call->poll, call->arg[0], call->arg[1] * sizeof(struct pollfd)))
		return -EFAULT;
	nr_hidden = drop_hidden(call, hidden);
	if (nr_hidden)
		call->arg[2] = at_once;
	call->arg[0] = (uint64_t)call->poll;
	result = sandbox_call_forward(call);
	if (result < 0)
		return result;
	return write_events(call, hidden) ? -EFAULT : result + nr_hidden;
}

long emulate_poll(struct sandbox_call *call)
{
	return poll_copy(call, 0);
}

long emulate_ppoll(struct sandbox_call *call)
{
	struct timespec at_once = { 0 };

	return poll_copy(call, (uint64_t)&at_once);
}

/* ---- select, pselect6 --------------------------------------------------- */

/* One of the three sets. */
static long read_set(struct sandbox_call *call, int i, size_t bytes)
{
	uint64_t *set = call->set[i - 1];

	if (!call->user[i])
		return 0;
	if (sandbox_space_read(set, call->user[i], bytes))
		return -EFAULT;
	for (unsigned j = 0; j < call->box->nr_hidden_fds; j++) {
		unsigned fd = call->box->hidden_fd[j];

		if (fd < call->arg[0] && set[fd / 64] >> fd % 64 & 1)
			return -EBADF;
	}
	call->arg[i] = (uint64_t)set;
	return 0;
}

long emulate_select(struct sandbox_call *call)
{
	size_t bytes;
	long result = 0;

	if ((int)call->arg[0] < 0)
		return -EINVAL;
	/* As the kernel does it: of what cannot be open nothing is looked at. */
	if (call->arg[0] > SANDBOX_MAX_FDS)
		call->arg[0] = SANDBOX_MAX_FDS;
	bytes = (call->arg[0] + 63) / 64 * 8;
	for (int i = 1; i <= 3 && !result; i++)
		result = read_set(call, i, bytes);
	if (result)
		return result;
	result = sandbox_call_forward(call);
	for (int i = 1; i <= 3 && result >= 0; i++)
		if (call->user[i] && sandbox_space_write(call->user[i], call->set[i - 1], bytes))
			return -EFAULT;
	return result;
}

/* The last argument points to a pointer to a signal mask, and its size. */
long emulate_pselect6(struct sandbox_call *call)
{
	uint64_t mask[2];

	if (call->arg[5]) {
		if (sandbox_space_read(mask, call->arg[5], sizeof(mask)) ||
		    (mask[0] && sandbox_space_check(mask[0], sizeof(uint64_t))))
			return -EFAULT;
		call->arg[5] = (uint64_t)mask;
	}
	return emulate_select(call);
}
