// SPDX-License-Identifier: GPL-2.0-only
/*
 * A system call under ptrace: what an interposer that needs no kernel module
 * pays. The child makes getpid() calls, each stops twice; the tracer does no
 * more than let it go on.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <signal.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct tracee {
	pid_t pid;
	volatile unsigned long *calls; /* how many to make next; shared */
};

static _Noreturn void make_calls(volatile unsigned long *calls)
{
	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		_exit(1);
	for (;;) {
		__asm__ volatile("int3"); /* the tracer sets *calls */
		for (unsigned long i = *calls; i; i--) {
			long number = SYS_getpid;

			__asm__ volatile("syscall" : "+a"(number)::"rcx", "r11", "memory");
		}
	}
}

/* Until the child stops at its int3 again: 2n stops at system calls. */
static void run_traced(void *context, unsigned long n)
{
	struct tracee *tracee = context;
	int status;

	*tracee->calls = n;
	do {
		if (ptrace(PTRACE_SYSCALL, tracee->pid, 0, 0) ||
		    waitpid(tracee->pid, &status, 0) < 0 || !WIFSTOPPED(status))
			bench_fail("ptrace");
	} while (WSTOPSIG(status) != SIGTRAP);
}

void bench_ptrace(struct bench_table *table)
{
	struct tracee tracee;
	int status;

	tracee.calls = mmap(NULL, BENCH_PAGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tracee.calls == MAP_FAILED)
		bench_fail("mmap");
	tracee.pid = fork();
	if (!tracee.pid)
		make_calls(tracee.calls);
	if (tracee.pid < 0 || waitpid(tracee.pid, &status, 0) < 0 || !WIFSTOPPED(status))
		bench_fail("ptrace");
	if (ptrace(PTRACE_SETOPTIONS, tracee.pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		bench_fail("PTRACE_SETOPTIONS");
	bench_measure(table, &(struct bench_operation){ "hypercall_getpid", "ptrace", 500, NULL,
							run_traced, 0, &tracee, 0 });
	bench_measure(table, &(struct bench_operation){ "ring3_syscall_handled", "ptrace", 500,
							NULL, run_traced, 0, &tracee, 0 });
	kill(tracee.pid, SIGKILL);
}
