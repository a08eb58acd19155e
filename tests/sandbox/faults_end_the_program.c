// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault that the program cannot handle ends it with the signal that Linux would send, and with one
 * message that says what and where. VMCALL is such a fault: it makes no system call, whatever is in
 * the registers (the 2012 prototype obeyed it).
 */
#include "sandboxed.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROOF "/tmp/vmcall-did-it"

static void read_nothing(void)
{
	static volatile char *volatile nothing = (char *)8;

	(void)*nothing;
}

static void write_text(void)
{
	*(volatile char *)(uintptr_t)write_text = 0;
}

static void jump_to_data(void)
{
	static char data[16] = { '\xc3' };

	((void (*)(void))(uintptr_t)data)();
}

static void jump_beyond(void)
{
	__asm__ volatile("jmp *%0" ::"r"(0x8000000000000000));
}

static void divide_by_zero(void)
{
	__asm__ volatile("xor %%edx, %%edx\n\txor %%ecx, %%ecx\n\tdiv %%ecx" ::
				 : "eax", "ecx", "edx");
}

static void undefined(void)
{
	__asm__ volatile("ud2");
}

static void breakpoint(void)
{
	__asm__ volatile("int3");
}

static void halt(void)
{
	__asm__ volatile("hlt");
}

static void clear_interrupts(void)
{
	__asm__ volatile("cli");
}

static void port(void)
{
	__asm__ volatile("outb %%al, $0x80" ::"a"(0));
}

static void load_page_table(void)
{
	__asm__ volatile("mov %0, %%cr3" ::"r"(0l));
}

static void read_msr(void)
{
	__asm__ volatile("rdmsr" ::"c"(0x10) : "eax", "edx");
}

static void swap_gs(void)
{
	__asm__ volatile("swapgs");
}

static void software_interrupt(void)
{
	__asm__ volatile("int $0x80" ::"a"(1), "b"(3)); /* exit, were it offered */
}

static void forged_page_fault(void)
{
	__asm__ volatile("int $14");
}

/* mkdir(), which leaves something that can be seen outside. */
static void vmcall(void)
{
	long rax = SYS_mkdir;

	__asm__ volatile("vmcall"
			 : "+a"(rax)
			 : "D"(PROOF), "S"(0755), "d"(0)
			 : "rcx", "r11", "memory");
}

static void vmlaunch(void)
{
	__asm__ volatile("vmlaunch");
}

static void vmfunc(void)
{
	__asm__ volatile("vmfunc" ::"a"(0), "c"(1));
}

static const struct {
	const char *name;
	void (*run)(void);
	int signal;
	unsigned vector;
} faults[] = {
	{ "read_nothing", read_nothing, SIGSEGV, 14 },
	{ "write_text", write_text, SIGSEGV, 14 },
	{ "jump_to_data", jump_to_data, SIGSEGV, 14 },
	{ "jump_beyond", jump_beyond, SIGSEGV, 13 },
	{ "divide_by_zero", divide_by_zero, SIGFPE, 0 },
	{ "undefined", undefined, SIGILL, 6 },
	{ "breakpoint", breakpoint, SIGTRAP, 3 },
	{ "halt", halt, SIGSEGV, 13 },
	{ "clear_interrupts", clear_interrupts, SIGSEGV, 13 },
	{ "port", port, SIGSEGV, 13 },
	{ "load_page_table", load_page_table, SIGSEGV, 13 },
	{ "read_msr", read_msr, SIGSEGV, 13 },
	{ "swap_gs", swap_gs, SIGSEGV, 13 },
	{ "software_interrupt", software_interrupt, SIGSEGV, 13 },
	{ "forged_page_fault", forged_page_fault, SIGSEGV, 13 },
	{ "vmcall", vmcall, SIGILL, 6 },
	{ "vmlaunch", vmlaunch, SIGILL, 6 },
	{ "vmfunc", vmfunc, SIGILL, 6 },
};
#define NR_FAULTS (sizeof(faults) / sizeof(faults[0]))

static void ends_with_signal_and_message(void **state)
{
	size_t i = (size_t)*state;
	struct outcome outcome;
	char message[64];

	rmdir(PROOF);
	RUN_SANDBOXED(&outcome, own_path(), INSIDE, faults[i].name);
	check_status(&outcome, 128 + faults[i].signal);
	assert_int_equal(outcome.signal, faults[i].signal);
	snprintf(message, sizeof(message), ": exception %u ", faults[i].vector);
	if (!strstr(outcome.err, message) || !strstr(outcome.err, own_path()))
		fail_msg("no \"%s\" in: %s", message, outcome.err);
	assert_ptr_equal(strchr(outcome.err, '\n'), outcome.err + strlen(outcome.err) - 1);
	outcome_free(&outcome);
	/* Of the vmcall: nothing was done. */
	assert_int_equal(access(PROOF, F_OK), -1);
}

int main(int argc, char **argv)
{
	struct inside_case cases[NR_FAULTS + 1] = { 0 };
	struct CMUnitTest tests[NR_FAULTS] = { 0 };

	for (size_t i = 0; i < NR_FAULTS; i++) {
		cases[i] = (struct inside_case){ faults[i].name, faults[i].run };
		tests[i].name = faults[i].name;
		tests[i].test_func = ends_with_signal_and_message;
		tests[i].initial_state = (void *)i;
	}
	inside_main(argc, argv, cases);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
