// SPDX-License-Identifier: GPL-2.0-only
/*
 * What goes wrong inside ends in the signal that Linux sends for the same thing
 * outside: same number, si_code, si_addr and instruction; handled or deadly.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "faults.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>

/* What happened, in memory that parent and child share. */
struct outcome {
	int handled, signal, code;
	uint64_t address, rip;
	int status;
};

static struct outcome *shared;

/* Far from where the kernel or the library place anything. */
static char *const hole = (char *)0x10000000000;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	shared->handled = 1;
	shared->signal = signal;
	shared->code = info->si_code;
	shared->address = (uintptr_t)info->si_addr;
	shared->rip = user->uc_mcontext.gregs[REG_RIP];
	_exit(3);
}

static void handle_signals(void)
{
	const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		CHECK_OK(sigaction(signals[i], &action, NULL));
}

static struct outcome try(const char *code, void *address, int inside, int handled)
{
	void (*function)(void *) = (void *)code;
	struct outcome outcome;
	pid_t child;

	memset(shared, 0, sizeof(*shared));
	child = harness_fork();
	if (!child) {
		if (inside)
			enter_dune();
		if (handled)
			handle_signals();
		function(address);
		_exit(4);
	}
	CHECK_OK(waitpid(child, &shared->status, 0));
	outcome = *shared;
	outcome.status &= ~0x80; /* core dumped */
	return outcome;
}

static int same(const struct outcome *a, const struct outcome *b)
{
	return a->handled == b->handled && a->signal == b->signal && a->code == b->code &&
	       a->address == b->address && a->rip == b->rip && a->status == b->status;
}

static void compare(const char *name, const char *code, void *address)
{
	for (int handled = 0; handled < 2; handled++) {
		struct outcome native = try(code, address, 0, handled);
		struct outcome dune = try(code, address, 1, handled);

		if (!same(&native, &dune))
			FAIL("%s, %s: in Dune signal %d code %d addr %#lx rip %#lx status %#x; "
			     "in Linux signal %d code %d addr %#lx rip %#lx status %#x",
			     name, handled ? "handled" : "not handled", dune.signal, dune.code,
			     dune.address, dune.rip, dune.status, native.signal, native.code,
			     native.address, native.rip, native.status);
	}
}

static void share_outcome(void)
{
	shared = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
}

static void memory(void)
{
	char *read_only = map_pages(1, PROT_READ), *none = map_pages(1, PROT_NONE);
	char *data = map_pages(1, PROT_READ | PROT_WRITE);

	share_outcome();
	*data = (char)0xc3;
	compare("read of NULL", fault_read, NULL);
	compare("read of a hole", fault_read, hole + 3);
	compare("write to a hole", fault_write, hole + 3);
	compare("call of a hole", fault_call, hole + 3);
	compare("read of PROT_NONE", fault_read, none + 4);
	compare("write to PROT_NONE", fault_write, none + 4);
	compare("write to PROT_READ", fault_write, read_only + 5);
	compare("write to code", fault_write, (void *)compare);
	compare("call of data", fault_call, data);
	compare("read of a kernel address", fault_read, (void *)0xffffffff81000000);
	compare("write to a kernel address", fault_write, (void *)0xffff888000000000);
	compare("read beyond the canonical half", fault_read, (void *)0x800000000000);
	compare("call of an address that is not canonical", fault_call, (void *)0x900000000000);
}

static void truncated_file(void)
{
	int fd = memfd_create("truncated", 0);
	char *file;

	share_outcome();
	CHECK_OK(fd);
	CHECK_OK(ftruncate(fd, 2 * PAGE_BYTES));
	file = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(file != MAP_FAILED);
	CHECK_OK(ftruncate(fd, PAGE_BYTES));
	compare("write beyond the end of a file", fault_write, file + PAGE_BYTES + 6);
	compare("read beyond the end of a file", fault_read, file + PAGE_BYTES + 6);
}

static void instructions(void)
{
	share_outcome();
	compare("divide error", fault_divide, NULL);
	compare("debug exception", fault_debug, NULL);
	compare("single step", fault_step, NULL);
	compare("breakpoint", fault_breakpoint, NULL);
	compare("invalid opcode", fault_undefined, NULL);
	compare("stack fault", fault_stack, NULL);
	compare("general protection", fault_protection, NULL);
	compare("selector", fault_selector, NULL);
	compare("x87", fault_x87, NULL);
	compare("SIMD", fault_simd, NULL);
	compare("misaligned movaps", fault_movaps, NULL);
}

/* Of a container: Linux sends it no signal that it has no handler for, but those that it deserves. */
static void end_first_process(const char *code, int signal)
{
	pid_t child;

	CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGKILL)); /* none must go on for ever alone */
	CHECK_OK(unshare(CLONE_NEWPID));
	child = harness_fork();
	if (!child) {
		CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGKILL));
		CHECK_EQ(getpid(), 1);
		enter_dune();
		((void (*)(void *))code)(NULL);
		_exit(4);
	}
	CHECK_EQ(harness_wait(child), 128 + signal);
}

static void undefined_in_a_first_process(void)
{
	end_first_process(fault_undefined, SIGILL);
}

static void null_in_a_first_process(void)
{
	end_first_process(fault_read, SIGSEGV);
}

static sigjmp_buf back;

static void jump_back(int signal)
{
	siglongjmp(back, signal);
}

static void go_on_after(void)
{
	volatile int handled = 0;

	enter_dune();
	signal(SIGSEGV, jump_back);
	for (int i = 0; i < 5; i++) {
		if (sigsetjmp(back, 1))
			handled++;
		else
			*(volatile char *)hole = 1;
	}
	CHECK_EQ(handled, 5);
	CHECK_EQ(current_ring(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(memory),
		guest_test(truncated_file),
		guest_test(instructions),
		guest_test(undefined_in_a_first_process),
		guest_test(null_in_a_first_process),
		guest_test(go_on_after),
	};

	return run_guest_tests(tests);
}
