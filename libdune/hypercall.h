/* SPDX-License-Identifier: MIT */
/*
 * How ring 0 asks the host loop for something that is not a system call, and how
 * host-context code makes system calls without libc: no errno, no TLS, no vector
 * registers, since all of it may run in the middle of anything. Next: host.c.
 */
#ifndef LIBDUNE_HYPERCALL_H
#define LIBDUNE_HYPERCALL_H

/* EAX of a hypercall that is not a system call's; those come from dune_trap_lstar only. */
#define HYPERCALL_CALL	 0x40000000 /* call rdi(rsi, rdx, r10) in host context */
#define HYPERCALL_SIGNAL 0x40000002 /* go on with the frame in rdi, signals first */
#define HYPERCALL_LEAVE	 0x40000001 /* rsp in rdi: go on there, outside */

#ifndef __ASSEMBLY__
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

static inline long raw_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define RAW(nr, ...) RAW_(nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define RAW_(nr, a, b, c, d, e, f, ...) \
	raw_syscall(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Not a loop that the compiler could take for memcpy(). */
static inline void raw_copy(void *to, const void *from, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		((volatile char *)to)[i] = ((const char *)from)[i];
}

/* In ring 0 of the guest? (Ring 3 of it cannot reach this code.) */
static inline bool in_ring0(void)
{
	uint16_t cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	return !(cs & 3);
}

/* For threads outside, whose handlers run at once: none may come while dune.lock is held. */
static inline uint64_t block_signals(void)
{
	uint64_t all = ~0ull, before = 0;

	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
	return before;
}

static inline void restore_signals(uint64_t mask)
{
	RAW(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
}

typedef long (*host_function)(long a, long b, long c);

/* init.c. -ESTALE instead where the process is a child that was forked outside. */
long dune_call_outside(host_function function, long a, long b, long c);

/* Calls function outside, on the host stack, from ring 0 or from outside. Signal handlers
 * wait until it is back. */
static inline long host_call(host_function function, long a, long b, long c)
{
	register long r10 __asm__("r10");
	long result;

	if (!in_ring0())
		return dune_call_outside(function, a, b, c);
	r10 = c;
	__asm__ volatile("vmcall"
			 : "=a"(result)
			 : "a"((long)HYPERCALL_CALL), "D"(function), "S"(a), "d"(b), "r"(r10)
			 : "memory");
	return result;
}
#endif
#endif
