// SPDX-License-Identifier: GPL-2.0-only
/*
 * New processes: fork, vfork, and clone as they and posix_spawn() use it. Called from syscall.c in
 * ring 0; the next to read is libdune's thread.c, which gives the child a guest of its own.
 *
 * A child is always a copy: one that shares memory with its parent (vfork) would share the state of
 * the sandbox, too. Its parent waits for it as it should. Of what the child has written the parent gets
 * what lies near its own stack pointer: there posix_spawn() and its like look for the child's error.
 */
#include "child.h"
#include "descriptor.h"
#include "report.h"
#include "sandbox.h"
#include "space.h"

#include <dune.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Flags that a copy can honour. The signal at its end is in the lowest byte. */
#define SIGNAL_MASK 0xffull
#define TID_FLAGS   (CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)
#define COPY_FLAGS  (CLONE_VM | CLONE_VFORK | TID_FLAGS)

/* ---- What a vfork child leaves to its parent ------------------------------ */

struct sandbox_legacy {
	uint64_t from; /* where it belongs, in ring 3 */
	size_t bytes;  /* 0 as long as the child has said nothing */
	char data[2 * SANDBOX_PAGE_BYTES];
};

/* Shared with the child, and not in an arena. NULL: no memory. */
static struct sandbox_legacy *legacy_create(uint64_t from)
{
	struct sandbox_legacy *legacy = mmap(NULL, sizeof(*legacy), PROT_READ | PROT_WRITE,
					     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (legacy == MAP_FAILED)
		return NULL;
	legacy->from = from;
	return legacy;
}

/* To the end of the next page, or of the stack. */
void sandbox_child_leave(struct sandbox *box)
{
	struct sandbox_legacy *legacy = box->legacy;
	size_t rest, bytes = 0;

	if (!legacy)
		return;
	rest = SANDBOX_PAGE_BYTES - legacy->from % SANDBOX_PAGE_BYTES;
	if (!sandbox_space_read(legacy->data, legacy->from, rest))
		bytes = rest;
	if (bytes &&
	    !sandbox_space_read(legacy->data + rest, legacy->from + rest, SANDBOX_PAGE_BYTES))
		bytes += SANDBOX_PAGE_BYTES;
	legacy->bytes = bytes;
}

static void legacy_take(struct sandbox_legacy *legacy)
{
	if (legacy->bytes <= sizeof(legacy->data))
		sandbox_space_write(legacy->from, legacy->data, legacy->bytes);
	munmap(legacy, sizeof(*legacy));
}

/* ---- The copy -------------------------------------------------------------- */

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
	sandbox_report_leave(box);
	memset(box->calls, 0, sizeof(box->calls));
	memset(box->errors, 0, sizeof(box->errors));
	/* Without knowing which descriptors are ours the program must not go on. */
	if (hide_fds_of_child(box, fds))
		_exit(SANDBOX_EXIT_FAILED);
}

static long copy_process(struct sandbox_call *call, uint64_t flags, uint64_t stack,
			 uint64_t parent_tid, uint64_t child_tid)
{
	struct sandbox_legacy *legacy = NULL;
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
	if (flags & CLONE_VM) {
		legacy = legacy_create(call->frame->rsp);
		if (!legacy)
			return -ENOMEM;
	}
	result = dune_syscall(SYS_clone, (flags & CLONE_VFORK) | (flags & SIGNAL_MASK), 0, 0, 0, 0,
			      0);
	id = result ? result : gettid();
	if (result >= 0 && flags & CLONE_PARENT_SETTID)
		sandbox_space_write(parent_tid, &id, sizeof(id));
	if (result) {
		if (legacy)
			legacy_take(legacy);
		return result;
	}
	begin_child(call->box, fds);
	call->box->legacy = legacy;
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
	return copy_process(call, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0);
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
