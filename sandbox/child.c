// SPDX-License-Identifier: GPL-2.0-only
/*
 * New processes: fork, vfork, and clone as they and posix_spawn() use it. Called from syscall.c in
 * ring 0; the next to read is libdune's thread.c, which gives the child a guest of its own.
 *
 * A child is always a copy: one that shares memory with its parent (vfork) would share the state of
 * the sandbox, too. Its parent waits for it as it should; what it writes the parent does not see.
 */
#include "child.h"
#include "descriptor.h"
#include "sandbox.h"
#include "space.h"

#include <dune.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Flags that a copy can honour. The signal at its end is in the lowest byte. */
#define SIGNAL_MASK 0xffull
#define TID_FLAGS   (CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)
#define COPY_FLAGS  (CLONE_VM | CLONE_VFORK | TID_FLAGS)

/* Libdune opens the device again in a child: those descriptors are new, and hidden, there. */
static long hide_fds_of_child(struct sandbox *box, const uint64_t before[SANDBOX_FD_WORDS])
{
	int kept[] = { box->trace_fd, box->report_fd };

	box->nr_hidden_fds = 0;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i] >= 0)
			box->hidden_fd[box->nr_hidden_fds++] = kept[i];
	return sandbox_fds_hide_new(box, before);
}

/* All that the program itself has open. */
static long list_own_fds(const struct sandbox *box, uint64_t fds[SANDBOX_FD_WORDS])
{
	int result = sandbox_fds_list(fds);

	for (int fd = 0; !result && fd < SANDBOX_MAX_FDS; fd++)
		if (sandbox_fds_hidden(box, fd))
			fds[fd / 64] &= ~(1ull << fd % 64);
	return result;
}

static void begin_child(struct sandbox *box, const uint64_t fds[SANDBOX_FD_WORDS])
{
	box->is_child = true;
	box->signals.pending = 0;
	memset(box->calls, 0, sizeof(box->calls));
	memset(box->errors, 0, sizeof(box->errors));
	/* Without knowing which descriptors are ours the program must not go on. */
	if (hide_fds_of_child(box, fds))
		_exit(SANDBOX_EXIT_FAILED);
}

static long copy_process(struct sandbox_call *call, uint64_t flags, uint64_t stack,
			 uint64_t parent_tid, uint64_t child_tid)
{
	uint64_t fds[SANDBOX_FD_WORDS];
	int id;
	long result;

	if (flags & CLONE_PARENT_SETTID && sandbox_space_check(parent_tid, sizeof(id)))
		return -EFAULT;
	if (flags & CLONE_CHILD_SETTID && sandbox_space_check(child_tid, sizeof(id)))
		return -EFAULT;
	result = list_own_fds(call->box, fds);
	if (result)
		return result;
	result = dune_syscall(SYS_clone, (flags & CLONE_VFORK) | (flags & SIGNAL_MASK), 0, 0, 0, 0,
			      0);
	id = result ? result : gettid();
	if (result >= 0 && flags & CLONE_PARENT_SETTID)
		sandbox_space_write(parent_tid, &id, sizeof(id));
	if (result)
		return result;
	begin_child(call->box, fds);
	if (flags & CLONE_CHILD_SETTID)
		sandbox_space_write(child_tid, &id, sizeof(id));
	if (stack)
		call->frame->rsp = stack;
	return 0;
}

long emulate_fork(struct sandbox_call *call)
{
	return copy_process(call, SIGCHLD, 0, 0, 0);
}

long emulate_vfork(struct sandbox_call *call)
{
	return copy_process(call, CLONE_VFORK | SIGCHLD, 0, 0, 0);
}

/* A thread shares memory and goes on beside its parent: not offered yet. */
long emulate_clone(struct sandbox_call *call)
{
	uint64_t flags = call->arg[0], signal = flags & SIGNAL_MASK;

	if (flags & CLONE_THREAD || (flags & CLONE_VM && !(flags & CLONE_VFORK)))
		return -ENOSYS;
	if (flags & ~(COPY_FLAGS | SIGNAL_MASK) || (signal && signal != SIGCHLD))
		return -EPERM;
	return copy_process(call, flags, call->arg[1], call->arg[2], call->arg[3]);
}

/* Libc then uses clone(). */
long emulate_clone3(struct sandbox_call *call)
{
	(void)call;
	return -ENOSYS;
}
