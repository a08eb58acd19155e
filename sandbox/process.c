// SPDX-License-Identifier: GPL-2.0-only
/*
 * The process as ring 3 sees it: its end, its limits, the state of its thread, time. Called from
 * syscall.c in ring 0. Signals are signals.c's, new processes child.c's, new programs execve.c's.
 */
#include "process.h"
#include "child.h"
#include "sandbox.h"

#include <asm/prctl.h>
#include <dune.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define ADDRESS_END (1ull << 47)

/* ---- The end ----------------------------------------------------------- */

long sandbox_process_end(struct sandbox_call *call, int status, int signal)
{
	sandbox_child_leave(call->box);
	call->box->end = (struct sandbox_end){ status, signal };
	call->ended = true;
	dune_ring3_stop(call->frame, 0);
	return 0;
}

long emulate_exit(struct sandbox_call *call)
{
	return sandbox_process_end(call, call->arg[0] & 0xff, 0);
}

/* ---- State of the thread ------------------------------------------------ */

long emulate_arch_prctl(struct sandbox_call *call)
{
	switch ((int)call->arg[0]) {
	case ARCH_SET_FS:
		/* Canonical, and nowhere near the runtime: it would be used by every TLS access. */
		if (call->arg[1] >= ADDRESS_END || sandbox_space_check(call->arg[1], 1))
			return -EPERM;
		call->frame->fs_base = call->arg[1];
		return 0;
	case ARCH_GET_FS:
		return sandbox_space_write(call->arg[1], &call->frame->fs_base, sizeof(uint64_t));
	case ARCH_SET_GS:
	case ARCH_GET_GS:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

long emulate_prctl(struct sandbox_call *call)
{
	char name[16] = "";
	long result;

	switch ((int)call->arg[0]) {
	case PR_SET_NAME:
		result = sandbox_space_read_string(name, call->arg[1], sizeof(name));
		return result == -EFAULT ? result : prctl(PR_SET_NAME, name, 0, 0, 0) ? -errno : 0;
	case PR_GET_NAME:
		if (prctl(PR_GET_NAME, name, 0, 0, 0))
			return -errno;
		return sandbox_space_write(call->arg[1], name, sizeof(name));
	case PR_GET_DUMPABLE:
	case PR_GET_NO_NEW_PRIVS:
	case PR_GET_SECCOMP:
	case PR_GET_KEEPCAPS:
	case PR_GET_SECUREBITS:
	case PR_GET_TIMERSLACK:
	case PR_CAPBSET_READ:
		return dune_syscall(SYS_prctl, (int)call->arg[0], call->arg[1], 0, 0, 0, 0);
	case PR_SET_VMA: /* names for anonymous memory: as a kernel without them */
		return -EINVAL;
	default:
		return -EPERM;
	}
}

long emulate_personality(struct sandbox_call *call)
{
	return (uint32_t)call->arg[0] == 0xffffffff || call->arg[0] == PER_LINUX ? PER_LINUX
										 : -EPERM;
}

/* Limits can be read, and set to what they are: the runtime lives under the same ones. */
long emulate_prlimit64(struct sandbox_call *call)
{
	struct rlimit limit, new;

	if ((int)call->arg[0] != 0 && (int)call->arg[0] != getpid())
		return -EPERM;
	if (prlimit(0, call->arg[1], NULL, &limit))
		return -errno;
	if (call->arg[2]) {
		if (sandbox_space_read(&new, call->arg[2], sizeof(new)))
			return -EFAULT;
		if (new.rlim_cur != limit.rlim_cur || new.rlim_max != limit.rlim_max)
			return -EPERM;
	}
	return call->arg[3] ? sandbox_space_write(call->arg[3], &limit, sizeof(limit)) : 0;
}

/* Calls whose first argument names a process: only this one. */
long emulate_of_self(struct sandbox_call *call)
{
	int pid = call->arg[0];

	return pid == 0 || pid == getpid() || pid == gettid() ? sandbox_call_forward(call) : -EPERM;
}

/* The kernel would write there when the thread ends; there is nobody else to see it. */
long emulate_set_tid_address(struct sandbox_call *call)
{
	(void)call;
	return gettid();
}

/* The kernel would follow the list when the thread ends. */
long emulate_set_robust_list(struct sandbox_call *call)
{
	return call->arg[1] == 24 /* sizeof(struct robust_list_head) */ ? 0 : -EINVAL;
}

/* What the arguments after the second one are depends on the operation. */
long emulate_futex(struct sandbox_call *call)
{
	bool has_timeout = false, has_second = false;

	switch ((int)call->arg[1] & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		has_timeout = true;
		break;
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
	case FUTEX_UNLOCK_PI:
	case FUTEX_TRYLOCK_PI:
		break;
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP:
		has_second = true;
		break;
	default:
		return -ENOSYS;
	}
	if (has_timeout && call->arg[3] &&
	    sandbox_space_check(call->arg[3], sizeof(struct timespec)))
		return -EFAULT;
	if (has_second && sandbox_space_check(call->arg[4], sizeof(uint32_t)))
		return -EFAULT;
	if (!has_timeout && !has_second)
		call->arg[3] = 0;
	if (!has_second)
		call->arg[4] = 0;
	return sandbox_call_forward(call);
}

/* ---- Time: by the vDSO, which works in ring 0, so without an exit ------- */

/*
 * A negative clock is the time that a process or a thread has used, by its number (0: this one), or
 * that of a device, by its descriptor: the kernel's <linux/posix-timers.h>.
 */
static bool is_own_clock(int clock)
{
	int id = ~(clock >> 3);

	return (clock & 3) != 3 && (id == 0 || id == getpid() || id == gettid());
}

long emulate_clock_gettime(struct sandbox_call *call)
{
	struct timespec now;

	if ((int)call->arg[0] < 0 && !is_own_clock(call->arg[0]))
		return -EINVAL;
	if (clock_gettime(call->arg[0], &now))
		return -errno;
	return sandbox_space_write(call->arg[1], &now, sizeof(now));
}

long emulate_gettimeofday(struct sandbox_call *call)
{
	struct timezone zone;
	struct timeval now;

	if (gettimeofday(&now, &zone))
		return -errno;
	if (call->arg[0] && sandbox_space_write(call->arg[0], &now, sizeof(now)))
		return -EFAULT;
	return call->arg[1] ? sandbox_space_write(call->arg[1], &zone, sizeof(zone)) : 0;
}

long emulate_time(struct sandbox_call *call)
{
	time_t now = time(NULL);

	if (call->arg[0] && sandbox_space_write(call->arg[0], &now, sizeof(now)))
		return -EFAULT;
	return now;
}
