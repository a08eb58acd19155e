// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals as ring 3 sees them: handlers are kept here, and told to the kernel as far as the kernel may
 * know. Masks, and what waits behind them, are the kernel's alone. Called from syscall.c in ring 0.
 */
#include "signals.h"
#include "process.h"
#include "sandbox.h"

#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

static bool ignored_by_default(int signal)
{
	return signal == SIGCHLD || signal == SIGURG || signal == SIGWINCH || signal == SIGCONT;
}

static bool stops_by_default(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
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

static bool is_blocked(int signal)
{
	sigset_t mask;

	return !sigprocmask(SIG_BLOCK, NULL, &mask) && sigismember(&mask, signal) == 1;
}

/* A signal that the program sends to itself. One that is blocked waits in the kernel, as others do. */
static long signal_self(struct sandbox_call *call, bool is_self, int signal)
{
	uint64_t handler;

	if (signal < 0 || signal > SANDBOX_NR_SIGNALS)
		return -EINVAL;
	if (!is_self)
		return -EPERM;
	if (!signal)
		return 0;
	handler = call->box->signals.action[signal].handler;
	if (handler != (uint64_t)SIG_DFL && handler != (uint64_t)SIG_IGN)
		return 0; /* handlers are not run yet: see struct sandbox_signals */
	if (is_blocked(signal))
		return sandbox_call_forward(call);
	if (handler == (uint64_t)SIG_IGN || ignored_by_default(signal))
		return 0;
	if (stops_by_default(signal))
		return kill(getpid(), SIGSTOP) ? -errno : 0;
	return sandbox_process_end(call, 128 + signal, signal);
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
	if (signal != SIGSEGV && signal != SIGBUS && signal != SIGILL && signal != SIGFPE &&
	    signal != SIGTRAP)
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
	}
	return 0;
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
