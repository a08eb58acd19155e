// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals as ring 3 sees them: what it asks for is kept here, and told to the kernel as far as the
 * kernel may know. Called from syscall.c in ring 0.
 */
#include "signals.h"
#include "process.h"
#include "sandbox.h"

#include <dune.h>
#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t bit(int signal)
{
	return 1ull << (signal - 1);
}

#define UNBLOCKABLE (bit(SIGKILL) | bit(SIGSTOP))

/* Of the CPU. What the program's own exceptions become, the sandbox says; the runtime's are never held back. */
static bool is_synchronous(int signal)
{
	return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
	       signal == SIGTRAP;
}

static uint64_t kernel_mask(uint64_t blocked)
{
	for (int signal = 1; signal <= SANDBOX_NR_SIGNALS; signal++)
		if (is_synchronous(signal))
			blocked &= ~bit(signal);
	return blocked;
}

/* What others send waits in the kernel. */
static void block(struct sandbox_signals *signals, uint64_t blocked)
{
	uint64_t mask = kernel_mask(blocked);

	if (mask != kernel_mask(signals->blocked))
		dune_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof(mask), 0, 0);
	signals->blocked = blocked;
}

static bool ignored_by_default(int signal)
{
	return signal == SIGCHLD || signal == SIGURG || signal == SIGWINCH || signal == SIGCONT;
}

static bool stops_by_default(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/* A signal that the program sent to itself. */
static long deliver(struct sandbox_call *call, int signal)
{
	struct sandbox_signals *signals = &call->box->signals;
	uint64_t handler = signals->action[signal].handler;

	if (signals->blocked & bit(signal)) {
		signals->pending |= bit(signal);
		return 0;
	}
	signals->pending &= ~bit(signal);
	if (handler == (uint64_t)SIG_IGN ||
	    (handler == (uint64_t)SIG_DFL && ignored_by_default(signal)))
		return 0;
	if (handler != (uint64_t)SIG_DFL)
		return 0; /* handlers are not run yet: see struct sandbox_signals */
	if (stops_by_default(signal))
		return kill(getpid(), SIGSTOP) ? -errno : 0;
	return sandbox_process_end(call, 128 + signal, signal);
}

static void deliver_pending(struct sandbox_call *call)
{
	uint64_t now = call->box->signals.pending & ~call->box->signals.blocked;

	while (now && !call->box->end.signal) {
		int signal = __builtin_ctzll(now) + 1;

		now &= now - 1;
		deliver(call, signal);
	}
}

/* A process that this one started and has not waited for yet, which therefore stays what it is. */
static bool is_own_child(idtype_t type, int id)
{
	siginfo_t info;

	return id > 0 && !waitid(type, id, &info, WEXITED | WNOHANG | WNOWAIT | __WALL);
}

/* Nobody waits for children then: one may be gone at any moment, and its number be another's. */
static bool children_are_not_waited_for(const struct sandbox_signals *signals)
{
	const struct sandbox_sigaction *action = &signals->action[SIGCHLD];

	return action->handler == (uint64_t)SIG_IGN || action->flags & SA_NOCLDWAIT;
}

/* -ESRCH: it is none. */
static long signal_child(struct sandbox_call *call, int pid)
{
	long result = -ESRCH;
	int fd;

	if (!is_own_child(P_PID, pid))
		return -ESRCH;
	if (!children_are_not_waited_for(&call->box->signals))
		return sandbox_call_forward(call);
	fd = pidfd_open(pid, 0);
	if (fd < 0)
		return -errno;
	if (is_own_child(P_PIDFD, fd))
		result = pidfd_send_signal(fd, call->arg[1], NULL, 0) ? -errno : 0;
	close(fd);
	return result;
}

static long signal_self(struct sandbox_call *call, bool is_self, int signal)
{
	if (signal < 0 || signal > SANDBOX_NR_SIGNALS)
		return -EINVAL;
	if (!is_self)
		return -EPERM;
	return signal ? deliver(call, signal) : 0;
}

long emulate_kill(struct sandbox_call *call)
{
	int pid = call->arg[0];
	long result = signal_child(call, pid);

	return result == -ESRCH ? signal_self(call, pid == getpid(), call->arg[1]) : result;
}

long emulate_tkill(struct sandbox_call *call)
{
	return signal_self(call, (int)call->arg[0] == gettid(), call->arg[1]);
}

long emulate_tgkill(struct sandbox_call *call)
{
	return signal_self(call, (int)call->arg[0] == getpid() && (int)call->arg[1] == gettid(),
			   call->arg[2]);
}

/* What a handler is mostly for cleaning up, after which the program ends all the same. */
static bool asks_to_end(int signal)
{
	return signal == SIGHUP || signal == SIGINT || signal == SIGQUIT || signal == SIGPIPE ||
	       signal == SIGTERM || signal == SIGXCPU;
}

/*
 * The kernel has to know what is ignored (a write to a broken pipe); a handler it must not know,
 * for it would run it outside Dune. A signal that has one is lost, which to the kernel is ignored,
 * unless the default action is nearer to what the handler would do: a program must not outlive all
 * requests to end, and a parent who ignores SIGCHLD cannot wait.
 */
static void tell_kernel(int signal, uint64_t handler, uint64_t flags)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	if (signal == SIGCHLD)
		action.sa_flags = flags & (SA_NOCLDWAIT | SA_NOCLDSTOP);
	if (handler == (uint64_t)SIG_IGN ||
	    (handler != (uint64_t)SIG_DFL && !asks_to_end(signal) && !ignored_by_default(signal) &&
	     !stops_by_default(signal)))
		action.sa_handler = SIG_IGN;
	if (!is_synchronous(signal))
		sigaction(signal, &action, NULL);
}

void sandbox_signals_drop_handlers(const struct sandbox_signals *signals, bool drop)
{
	for (int signal = 1; signal <= SANDBOX_NR_SIGNALS; signal++) {
		const struct sandbox_sigaction *action = &signals->action[signal];

		if (action->handler != (uint64_t)SIG_DFL && action->handler != (uint64_t)SIG_IGN)
			tell_kernel(signal, drop ? (uint64_t)SIG_DFL : action->handler,
				    action->flags);
	}
}

long emulate_rt_sigaction(struct sandbox_call *call)
{
	int signal = call->arg[0];
	struct sandbox_sigaction *action, new;

	if (call->arg[3] != sizeof(uint64_t) || signal < 1 || signal > SANDBOX_NR_SIGNALS)
		return -EINVAL;
	action = &call->box->signals.action[signal];
	if (call->arg[1]) {
		if (sandbox_space_read(&new, call->arg[1], sizeof(new)))
			return -EFAULT;
		if (signal == SIGKILL || signal == SIGSTOP)
			return -EINVAL;
	}
	if (call->arg[2] && sandbox_space_write(call->arg[2], action, sizeof(*action)))
		return -EFAULT;
	if (call->arg[1]) {
		*action = new;
		tell_kernel(signal, new.handler, new.flags);
		if (new.handler == (uint64_t)SIG_IGN)
			call->box->signals.pending &= ~bit(signal);
	}
	return 0;
}

long emulate_rt_sigprocmask(struct sandbox_call *call)
{
	struct sandbox_signals *signals = &call->box->signals;
	uint64_t old = signals->blocked, set = 0;

	if (call->arg[3] != sizeof(uint64_t))
		return -EINVAL;
	if (call->arg[1]) {
		if (sandbox_space_read(&set, call->arg[1], sizeof(set)))
			return -EFAULT;
		switch ((int)call->arg[0]) {
		case SIG_BLOCK:
			block(signals, old | (set & ~UNBLOCKABLE));
			break;
		case SIG_UNBLOCK:
			block(signals, old & ~set);
			break;
		case SIG_SETMASK:
			block(signals, set & ~UNBLOCKABLE);
			break;
		default:
			return -EINVAL;
		}
	}
	if (call->arg[2] && sandbox_space_write(call->arg[2], &old, sizeof(old)))
		return -EFAULT;
	deliver_pending(call);
	return 0;
}

long emulate_rt_sigpending(struct sandbox_call *call)
{
	const struct sandbox_signals *signals = &call->box->signals;
	uint64_t pending = 0;

	if (call->arg[1] > sizeof(pending))
		return -EINVAL;
	dune_syscall(SYS_rt_sigpending, (long)&pending, sizeof(pending), 0, 0, 0, 0);
	pending |= signals->pending & signals->blocked;
	return sandbox_space_write(call->arg[0], &pending, call->arg[1]);
}

/* Waits for a signal that ends the program: no other one can arrive yet. */
long emulate_rt_sigsuspend(struct sandbox_call *call)
{
	struct sandbox_signals *signals = &call->box->signals;
	uint64_t old = signals->blocked, set, mask;

	if (call->arg[1] != sizeof(set))
		return -EINVAL;
	if (sandbox_space_read(&set, call->arg[0], sizeof(set)))
		return -EFAULT;
	signals->blocked = set & ~UNBLOCKABLE;
	mask = kernel_mask(signals->blocked);
	deliver_pending(call);
	if (!call->box->end.signal)
		dune_syscall(SYS_rt_sigsuspend, (long)&mask, sizeof(mask), 0, 0, 0, 0);
	signals->blocked = old;
	return -EINTR;
}

/* No frame was ever pushed, so this one is forged. */
long emulate_rt_sigreturn(struct sandbox_call *call)
{
	return sandbox_process_end(call, 128 + SIGSEGV, SIGSEGV);
}

long emulate_sigaltstack(struct sandbox_call *call)
{
	struct sandbox_signals *signals = &call->box->signals, new = *signals;

	if (signals->stack.stack == 0 && signals->stack.bytes == 0)
		signals->stack.flags = SS_DISABLE;
	if (call->arg[0]) {
		if (sandbox_space_read(&new.stack, call->arg[0], sizeof(new.stack)))
			return -EFAULT;
		if (new.stack.flags & ~(SS_DISABLE | SS_ONSTACK | (1u << 31) /* SS_AUTODISARM */))
			return -EINVAL;
		if (new.stack.flags & SS_DISABLE)
			new.stack.stack = new.stack.bytes = 0;
		else if (new.stack.bytes < SANDBOX_MIN_SIGSTACK_BYTES)
			return -ENOMEM;
		else if (sandbox_space_check(new.stack.stack, new.stack.bytes))
			return -EPERM;
	}
	if (call->arg[1] &&
	    sandbox_space_write(call->arg[1], &signals->stack, sizeof(signals->stack)))
		return -EFAULT;
	if (call->arg[0])
		signals->stack = new.stack;
	return 0;
}
