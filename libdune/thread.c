// SPDX-License-Identifier: MIT
/*
 * Threads and children: clone, clone3, vfork, fork and exit of threads inside. The
 * kernel makes the thread as it makes any other; here it gets a vcpu that goes on in
 * the guest where its parent's was, with its own stack and 0 in RAX.
 *
 * Three kinds. With CLONE_VM the child shares the vm and needs an area and a vcpu;
 * its host stack goes to the kernel, the stack that was asked for to the guest. A
 * vfork child is one of those that ends soon: its parent waits, and frees its area.
 * Without CLONE_VM the child has another mm, where the parent's vm is of no use: it
 * opens /dev/dune again and says all tiles once more. Called from host.c.
 */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "context.h"
#include "cpu.h"
#include "host.h"
#include "hypercall.h"
#include "tile.h"

#define TASK_SIZE	  ((1ull << 47) - 4096)
#define MOST_CLONE3_BYTES 4096

/* What the four calls ask for, in one form. */
struct request {
	uint64_t flags, stack, tls; /* stack: top, or 0 */
	uint64_t args[6];	    /* to call again with */
	struct clone_args clone3;
};

/* As the kernel does: what is longer than our structure must be 0 there. */
static long clone3_read(struct clone_args *clone3, const char *from, uint64_t bytes)
{
	if (bytes < CLONE_ARGS_SIZE_VER0 || bytes > MOST_CLONE3_BYTES)
		return bytes < CLONE_ARGS_SIZE_VER0 ? -EINVAL : -E2BIG;
	if (!dune_host_can_read(from, bytes))
		return -EFAULT;
	for (uint64_t i = 0; i < sizeof(*clone3); i++)
		((volatile char *)clone3)[i] = i < bytes ? from[i] : 0;
	for (uint64_t i = sizeof(*clone3); i < bytes; i++)
		if (from[i])
			return -E2BIG;
	return 0;
}

/* The kernel will see another stack, so this one is judged here. */
static bool is_stack(uint64_t bottom, uint64_t bytes)
{
	return bottom ? bytes && bottom < TASK_SIZE && bytes <= TASK_SIZE - bottom : !bytes;
}

static long request_read(struct request *request, const struct dune_run *run, long nr)
{
	struct clone_args *clone3 = &request->clone3;
	uint64_t bytes = run->gpr[DUNE_RSI];
	long result;

	for (int i = 0; i < 6; i++)
		request->args[i] = 0;
	request->flags = request->stack = request->tls = 0;
	if (nr == SYS_clone3) {
		result = clone3_read(clone3, (const char *)run->gpr[DUNE_RDI], bytes);
		if (result)
			return result;
		if (!is_stack(clone3->stack, clone3->stack_size))
			return -EINVAL;
		request->flags = clone3->flags;
		request->tls = clone3->tls;
		request->stack = clone3->stack + clone3->stack_size;
		request->args[0] = (uint64_t)clone3;
		request->args[1] = bytes < sizeof(*clone3) ? bytes : sizeof(*clone3);
	} else if (nr == SYS_clone) {
		request->flags = run->gpr[DUNE_RDI];
		request->stack = run->gpr[DUNE_RSI];
		request->tls = run->gpr[DUNE_R8];
		request->args[0] = request->flags;
		request->args[2] = run->gpr[DUNE_RDX];
		request->args[3] = run->gpr[DUNE_R10];
		request->args[4] = request->tls;
	} else if (nr == SYS_vfork) {
		request->flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
		request->args[0] = request->flags;
	}
	return 0;
}

/* The child's stack in the host: its own host stack, or a copy of this one. */
static void request_set_stack(struct request *request, long nr, uint64_t bottom, uint64_t bytes)
{
	if (nr == SYS_clone3) {
		request->clone3.stack = bottom;
		request->clone3.stack_size = bytes;
	} else {
		request->args[1] = bottom ? bottom + bytes : 0;
	}
}

static void child_state(struct dune_state *state, const struct request *request)
{
	state->gpr[DUNE_RAX] = 0;
	if (request->stack)
		state->gpr[DUNE_RSP] = request->stack;
	if (request->flags & CLONE_SETTLS)
		state->fs_base = request->tls;
}

static long clone_thread(struct cpu *cpu, struct request *request, long nr)
{
	struct dune_state state = { .groups = DUNE_STATE_ALL };
	struct cpu *child;
	long result;

	result = dune_backend_get_state(cpu->vcpu_fd, &state);
	if (result)
		return result;
	result = dune_cpu_create(&child);
	if (result)
		return result;
	child_state(&state, request);
	dune_cpu_system_state(child, &state);
	state.kernel_gs_base = (uint64_t)child;
	child->fs_ring3 = cpu->fs_ring3;
	child->start_mask = cpu->start_mask;
	child->gs_outside = cpu->gs_outside;
	child->borrowed = request->flags & CLONE_VFORK;
	if (!request->stack) { /* it is on ours, maybe below a run of ring 3 */
		child->ring3 = cpu->ring3;
		child->fs_ring0 = cpu->fs_ring0;
	}
	result = dune_backend_set_state(child->vcpu_fd, &state);
	if (!result) {
		request_set_stack(request, nr, (uint64_t)child + CPU_HOST_BOTTOM,
				  CPU_BYTES - CPU_HOST_BOTTOM);
		result = dune_thread_clone(nr == SYS_vfork ? SYS_clone : nr, request->args[0],
					   request->args[1], request->args[2], request->args[3],
					   request->args[4]);
	}
	if (result < 0 || (request->flags & CLONE_VFORK))
		dune_cpu_destroy(child);
	return result;
}

/* The parent's descriptors are of no use, unless they are still its own: in one table. */
static void close_all(void)
{
	RAW(SYS_close, dune.vm_fd);
	for (struct cpu *cpu = dune.cpus; cpu; cpu = cpu->next)
		RAW(SYS_close, cpu->vcpu_fd);
}

/*
 * In a fork child: only this thread is there, and a memory that was copied. The run
 * pages were not copied; ours is mapped again where it was, as the GDT is in it.
 */
static long rebuild(struct cpu *cpu, const struct dune_state *state, uint64_t flags)
{
	struct cpu *other, *next;
	long result;

	if (!(flags & CLONE_FILES))
		close_all();
	for (other = dune.cpus; other; other = next) {
		next = other->next;
		if (other != cpu)
			RAW(SYS_munmap, other, CPU_BYTES);
	}
	cpu->next = NULL;
	dune.cpus = cpu;
	cpu->borrowed = false;
	result = dune_backend_open();
	if (!result)
		result = dune_tile_resubmit();
	if (!result)
		result = dune_cpu_attach(cpu);
	if (!result)
		result = dune_backend_set_state(cpu->vcpu_fd, state);
	return result;
}

/* The locks are held across, so that the child finds all lists whole; with CLONE_VFORK until
 * it has gone its own way. */
static long fork_process(struct cpu *cpu, struct request *request, long nr)
{
	struct dune_state state = { .groups = DUNE_STATE_ALL };
	long result = dune_backend_get_state(cpu->vcpu_fd, &state);

	if (result)
		return result;
	request_set_stack(request, nr, 0, 0);
	dune_lock(&dune.arena_lock);
	dune_lock(&dune.lock);
	result = raw_syscall(nr, request->args[0], request->args[1], request->args[2],
			     request->args[3], request->args[4], 0);
	dune_unlock(&dune.lock);
	dune_unlock(&dune.arena_lock);
	if (result)
		return result;
	child_state(&state, request);
	result = rebuild(cpu, &state, request->flags);
	if (result)
		dune_fault_exit(cpu, result);
	return 0;
}

/* No signal is to find a child half made; it opens its mask when it is whole. One that
 * the parent has caught is not the child's. */
long dune_thread_clone_call(struct cpu *cpu, long nr)
{
	struct request request;
	long result = request_read(&request, cpu->run, nr);

	if (result)
		return result;
	if (dune_signal_give_last(cpu))
		return cpu->run->gpr[DUNE_RAX];
	if (request.flags & CLONE_VM)
		result = clone_thread(cpu, &request, nr);
	else
		result = fork_process(cpu, &request, nr);
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &cpu->start_mask, NULL, 8);
	return result;
}

/* Its area goes with the thread; signals are blocked, since its stack goes, too. */
_Noreturn void dune_thread_exit(struct cpu *cpu, long code)
{
	if (!cpu->borrowed) {
		dune_cpu_retire(cpu);
		dune_thread_exit_switch(cpu, code);
	}
	for (;;)
		RAW(SYS_exit, code);
}
