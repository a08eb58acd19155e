/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls that are about signals, and what they leave to be remembered.
 */
#ifndef SANDBOX_SIGNALS_H
#define SANDBOX_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

#define SANDBOX_NR_SIGNALS	   64
#define SANDBOX_MIN_SIGSTACK_BYTES 2048 /* of the kernel; libc's is a function */

struct sandbox_call;

/* As the kernel has it, not libc. */
struct sandbox_sigaction {
	uint64_t handler, flags, restorer, mask;
};

/*
 * What the program has asked for. Handlers are recorded and reported, but not run yet: a signal
 * that has one is lost, but for requests to end from outside; one that is ignored or has its default
 * action does what it should.
 */
struct sandbox_signals {
	struct sandbox_sigaction action[SANDBOX_NR_SIGNALS + 1]; /* by number */
	struct {
		uint64_t stack;
		uint32_t flags, pad;
		uint64_t bytes;
	} stack; /* sigaltstack */
};

/*
 * Around execve(): what has a handler gets its default action, as the kernel does it; with false,
 * as it was, if there is no new program after all.
 */
void sandbox_signals_drop_handlers(const struct sandbox_signals *signals, bool drop);

long emulate_kill(struct sandbox_call *call);
long emulate_tkill(struct sandbox_call *call);
long emulate_tgkill(struct sandbox_call *call);
long emulate_rt_sigaction(struct sandbox_call *call);
long emulate_rt_sigreturn(struct sandbox_call *call);
long emulate_sigaltstack(struct sandbox_call *call);

#endif
