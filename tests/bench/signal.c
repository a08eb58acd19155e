// SPDX-License-Identifier: GPL-2.0-only
/*
 * What signal handlers offer instead of Dune's traps: an exception, a write
 * barrier by mprotect() and SIGSEGV, and system calls turned into SIGSYS by
 * syscall user dispatch.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF	     0
#define PR_SYS_DISPATCH_ON	     1
#endif

/* Selector of syscall user dispatch: 0 lets calls through, 1 raises SIGSYS. */
static volatile char dispatch;

static void on_trap(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info, (void)context;
}

static void on_segv(int signal, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr & -(uintptr_t)BENCH_PAGE_BYTES);

	(void)signal, (void)context;
	if (mprotect(page, BENCH_PAGE_BYTES, PROT_READ | PROT_WRITE))
		_exit(1);
}

/* The return from the handler is a system call, too: it must pass. */
static void on_sys(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info;
	dispatch = 0;
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX] = 42;
}

static void set_handler(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	if (sigaction(signal, &action, NULL))
		bench_fail("sigaction");
}

static void run_exception(void *context, unsigned long n)
{
	(void)context;
	while (n--)
		__asm__ volatile("int3");
}

static void run_appel1(void *context, unsigned long n)
{
	char *pages = context;

	for (unsigned long i = 0; i < n; i++) {
		char *page = pages + i % (BENCH_PAGES / 2) * 2 * BENCH_PAGE_BYTES;

		if (mprotect(page, BENCH_PAGE_BYTES, PROT_READ))
			bench_fail("mprotect");
		*(volatile char *)page = 1;
	}
}

static void run_dispatched(void *context, unsigned long n)
{
	(void)context;
	while (n--) {
		long number = SYS_getpid;

		dispatch = 1;
		__asm__ volatile("syscall" : "+a"(number)::"rcx", "r11", "memory");
	}
}

/*
 * Every other page becomes unreachable, so that those between are mappings of
 * their own, which mprotect() need not split and merge: the best case for it.
 */
static void isolate_pages(char *pages)
{
	for (unsigned i = 1; i < BENCH_PAGES; i += 2)
		if (mprotect(pages + i * BENCH_PAGE_BYTES, BENCH_PAGE_BYTES, PROT_NONE))
			bench_fail("mprotect");
}

void bench_signal(struct bench_table *table)
{
	void *pages = bench_pages();

	set_handler(SIGTRAP, on_trap);
	set_handler(SIGSEGV, on_segv);
	set_handler(SIGSYS, on_sys);
	bench_pages_populate(pages, 0);
	isolate_pages(pages);
	bench_measure(table, &(struct bench_operation){ "exception", "signal", BENCH_CALLS, NULL,
							run_exception, 0, 0, 0 });
	bench_measure(table, &(struct bench_operation){ "appel1_page", "signal", BENCH_CALLS, NULL,
							run_appel1, 0, pages, 0 });
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &dispatch))
		bench_fail("syscall user dispatch");
	bench_measure(table,
		      &(struct bench_operation){ "ring3_syscall_handled", "signal", BENCH_CALLS,
						 NULL, run_dispatched, 0, 0, 0 });
}
