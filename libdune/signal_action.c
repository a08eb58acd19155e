// SPDX-License-Identifier: MIT
/*
 * What the program asks for by rt_sigaction(): the kernel has dune_signal_catch() where the
 * program has a handler, and the handler is in a table here. Also, what handlers there
 * are when the first thread enters, and when the last one has left. Next: signal.c.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include "dune_abi.h"
#include "context.h"
#include "cpu.h"
#include "guest_signal.h"
#include "host.h"
#include "hypercall.h"

#define NR_SIGNALS  64
#define SA_RESTORER 0x04000000
#define KEPT_FLAGS  (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_RESTART | SA_RESETHAND)

/* Changed under dune.lock. A signal that is caught cannot wait for that, so a change goes
 * to the copy that is not in use. */
static struct {
	struct kernel_action copies[2];
	unsigned changes;
} actions[NR_SIGNALS + 1];

struct kernel_action dune_signal_action_of(int number)
{
	struct kernel_action action;
	unsigned changes;

	do {
		changes = __atomic_load_n(&actions[number].changes, __ATOMIC_ACQUIRE);
		action = actions[number].copies[changes & 1];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (changes != __atomic_load_n(&actions[number].changes, __ATOMIC_RELAXED));
	return action;
}

static void put_action(int number, const struct kernel_action *action)
{
	unsigned changes = actions[number].changes + 1;

	actions[number].copies[changes & 1] = *action;
	__atomic_store_n(&actions[number].changes, changes, __ATOMIC_RELEASE);
}

static bool is_handler(const struct kernel_action *action)
{
	return action->handler != (uint64_t)SIG_DFL && action->handler != (uint64_t)SIG_IGN;
}

static bool is_ours(const struct kernel_action *action)
{
	return action->handler == (uint64_t)dune_signal_catch;
}

static long set_kernel_action(int number, const struct kernel_action *action)
{
	struct kernel_action ours = {
		.handler = (uint64_t)dune_signal_catch,
		.flags = (action->flags & KEPT_FLAGS) | SA_SIGINFO | SA_RESTORER,
		.restorer = dune_signal_restorer,
		.mask = ALL_SIGNALS,
	};

	return RAW(SYS_rt_sigaction, number, is_handler(action) ? &ours : action, NULL, 8);
}

/*
 * A vfork child shares our table but has handlers of its own in the kernel; all it does
 * before it calls execve() is to give them up, so the table stays its parent's. It has
 * handlers only: until the kernel knows that one is given up, another thread may catch
 * the signal.
 */
static long change_action(const struct cpu *cpu, int number, const struct kernel_action *action)
{
	struct kernel_action before = dune_signal_action_of(number);
	long result;

	if (!cpu->borrowed && is_handler(action))
		put_action(number, action);
	result = set_kernel_action(number, action);
	if (result)
		put_action(number, &before);
	return result;
}

static long exchange_action(const struct cpu *cpu, int number, const struct kernel_action *wanted,
			    struct kernel_action *before)
{
	long result;

	dune_lock(&dune.lock);
	result = RAW(SYS_rt_sigaction, number, NULL, before, 8);
	if (is_ours(before))
		*before = dune_signal_action_of(number);
	if (!result && wanted)
		result = change_action(cpu, number, wanted);
	dune_unlock(&dune.lock);
	return result;
}

/* One that this thread has caught goes first: afterwards the old handler does not run. */
long dune_signal_action(struct cpu *cpu, long nr)
{
	volatile struct dune_run *run = cpu->run;
	int number = run->gpr[DUNE_RDI];
	const struct kernel_action *action = (void *)run->gpr[DUNE_RSI];
	struct kernel_action *old = (void *)run->gpr[DUNE_RDX];
	struct kernel_action wanted = { 0 }, before = { 0 };
	long result;

	if (run->gpr[DUNE_R10] != 8 || number < 1 || number > NR_SIGNALS)
		return -EINVAL;
	if (action) {
		if (!dune_host_can_read(action, sizeof(*action)))
			return -EFAULT;
		wanted = *action;
	}
	if (dune_signal_give_last(cpu))
		return cpu->run->gpr[DUNE_RAX];
	result = exchange_action(cpu, number, action ? &wanted : NULL, &before);
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &cpu->start_mask, NULL, 8);
	if (result || !old)
		return result;
	result = RAW(nr, number, NULL, old, 8); /* so that the kernel looks at the pointer */
	if (!result)
		*old = before;
	return result;
}

void dune_signal_take_over(void)
{
	struct kernel_action action;

	for (int number = 1; number <= NR_SIGNALS; number++) {
		if (RAW(SYS_rt_sigaction, number, NULL, &action, 8) || !is_handler(&action) ||
		    is_ours(&action))
			continue;
		put_action(number, &action);
		set_kernel_action(number, &action);
	}
}

void dune_signal_give_back(void)
{
	struct kernel_action action;

	for (int number = 1; number <= NR_SIGNALS; number++)
		if (!RAW(SYS_rt_sigaction, number, NULL, &action, 8) && is_ours(&action)) {
			action = dune_signal_action_of(number);
			RAW(SYS_rt_sigaction, number, &action, NULL, 8);
		}
}
