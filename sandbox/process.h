/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls on the process itself: its end, limits, thread state, time.
 */
#ifndef SANDBOX_PROCESS_H
#define SANDBOX_PROCESS_H

struct sandbox_call;

/* How a program ends: by a status, or by a signal. */
struct sandbox_end {
	int status;
	int signal; /* 0: by status */
};

/* At the return to ring 3. Returns 0, the result of a call that does not return. */
long sandbox_process_end(struct sandbox_call *call, int status, int signal);

long emulate_exit(struct sandbox_call *call);
long emulate_arch_prctl(struct sandbox_call *call);
long emulate_prctl(struct sandbox_call *call);
long emulate_personality(struct sandbox_call *call);
long emulate_prlimit64(struct sandbox_call *call);
long emulate_of_self(struct sandbox_call *call);
long emulate_set_tid_address(struct sandbox_call *call);
long emulate_set_robust_list(struct sandbox_call *call);
long emulate_futex(struct sandbox_call *call);
long emulate_clock_gettime(struct sandbox_call *call);
long emulate_gettimeofday(struct sandbox_call *call);
long emulate_time(struct sandbox_call *call);

#endif
