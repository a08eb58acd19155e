// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the CPU refuses the guest, or leaves it for a reason that the module
 * does not know, the caller gets numbers, the kernel's log the guest's state by
 * name, and the user of libdune a line that names the reason. No caller can
 * bring that about, so tests/inject/dune_inject.c does.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "module.h"
#include "raw.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>

enum {
	REASON_RDTSC = 16,
	REASON_INVALID_STATE = 33,
	ERROR_VMRESUME_NOT_LAUNCHED = 5,
	ERROR_INVALID_CONTROLS = 7,
};

static char kernel_log[65536];
static int log_fd;

/* From here on, read_log() reads. */
static void begin_log(void)
{
	log_fd = CHECK_OK(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	CHECK_OK(lseek(log_fd, 0, SEEK_END));
}

/* The messages since begin_log(), one a line, without what comes before ';'. */
static void read_log(void)
{
	size_t length = 0;

	for (;;) {
		char record[8192];
		ssize_t bytes = read(log_fd, record, sizeof(record) - 1);
		char *text;

		if (bytes < 0)
			break;
		record[bytes] = 0;
		text = strchr(record, ';') + 1;
		length += snprintf(kernel_log + length, sizeof(kernel_log) - length, "%.*s\n",
				   (int)strcspn(text, "\n"), text);
		CHECK(length < sizeof(kernel_log));
	}
	close(log_fd);
}

static void log_has(const char *text)
{
	if (!strstr(kernel_log, text))
		FAIL("the kernel's log lacks \"%s\":\n%s", text, kernel_log);
}

static unsigned log_count(const char *text)
{
	unsigned count = 0;

	for (const char *at = kernel_log; (at = strstr(at, text)); at++)
		count++;
	return count;
}

/* At the next hypercall of this process; it ends with break_end(). */
static void break_begin(const char *what)
{
	char text[64];

	TEST_REQUIRE(geteuid() == 0, "not root");
	/* It may be left of a test that failed. */
	if (!module_is_loaded("dune_inject"))
		CHECK_EQ(module_load("dune_inject", ""), 0);
	snprintf(text, sizeof(text), "%s %d", what, getpid());
	CHECK_EQ(module_write_parameter("dune_inject", "break_vmcs", text), 0);
}

static void break_end(void)
{
	CHECK_EQ(module_unload("dune_inject"), 0);
}

/* What the run ends with after the hypercall at which that was broken. */
static long run_broken(struct raw *raw, const char *what)
{
	break_begin(what);
	CHECK_EQ(raw_run(raw), DUNE_EXIT_HYPERCALL);
	break_end();
	return raw_run(raw);
}

static void load_rdtsc(struct raw *raw)
{
	static const char code[] = "\x0f\x01\xc1\x0f\x31\xeb\xf9"; /* vmcall; rdtsc; jmp */

	raw_create(raw);
	memcpy(raw->memory + RAW_CODE, code, sizeof(code));
}

/* The log takes three of them in five seconds. */
static void wait_for_the_log(void)
{
	sleep(6);
}

/* A guest that the CPU does not enter; the log says how it was. */
static void be_refused(struct raw *raw)
{
	wait_for_the_log();
	raw_create(raw);
	raw_load(raw, raw_count, 0, 0);
	begin_log();
	CHECK_EQ(run_broken(raw, "rflags"), DUNE_EXIT_FAIL_ENTRY);
	read_log();
}

static void a_state_that_the_cpu_refuses(void)
{
	struct raw raw;
	struct dune_state state;

	be_refused(&raw);

	CHECK_EQ(raw.run->exit_reason, DUNE_EXIT_FAIL_ENTRY);
	CHECK_EQ(raw.run->hardware_reason, REASON_INVALID_STATE);
	CHECK_EQ(raw.run->entry_error, 0);
	CHECK_EQ(raw.run->rip, RAW_CODE + 6);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_FAILED_ENTRIES), 1);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_EXIT_OTHER), 0);

	log_has("entry failed, reason 0x80000021 INVALID_STATE");
	log_has("rip 0x8006 rsp 0x20000 rflags 0x0\n");
	log_has("cr0 0x80");
	log_has("cr3 0x0 ");
	log_has("cs   selector 0x0010 base 0x0 limit 0xffffffff access rights 0x0a09b\n");
	log_has("tr   selector 0x0040 base 0x5000 limit 0x67 access rights 0x0008b\n");
	log_has("gdtr base 0x4000 limit 0x7f, idtr base 0x3000 limit 0x0\n");
	log_has("activity 0 interruptibility 0x0");
	log_has("at entry: controls 0x");
	/* The guest's addresses are small here: larger ones would be the kernel's. */
	CHECK_EQ(log_count("0xffff8"), 0);
	CHECK_EQ(log_count("0xffffffff8"), 0);

	/* A state that is right runs. */
	state = raw_state(&raw);
	raw_set_state(raw.vcpu, &state);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

/* What the hardware had, by the kernel's log. */
static uint64_t logged_cr4(void)
{
	const char *text = strstr(kernel_log, " cr4 0x");

	CHECK(text);
	return strtoull(text + strlen(" cr4 "), NULL, 0);
}

/* CR4.MCE is as the host has it: clear, a machine check inside would be a shutdown. */
static void machine_checks_are_on_inside(void)
{
	enum { CR4_MCE = 1 << 6 };
	struct dune_state state = { .groups = DUNE_STATE_SYSTEM };
	struct raw raw;

	TEST_REQUIRE(!access("/sys/devices/system/machinecheck/machinecheck0", F_OK),
		     "the kernel has no machine checks");
	be_refused(&raw);
	CHECK(logged_cr4() & CR4_MCE);
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &state));
	CHECK(!(state.cr4 & CR4_MCE));
}

static void controls_that_the_cpu_refuses(void)
{
	struct raw raw;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	begin_log();
	CHECK_EQ(run_broken(&raw, "controls"), DUNE_EXIT_FAIL_ENTRY);
	read_log();
	CHECK_EQ(raw.run->hardware_reason, 0);
	CHECK_EQ(raw.run->entry_error, ERROR_INVALID_CONTROLS);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_FAILED_ENTRIES), 1);
	log_has("VM-instruction error 7: VM entry with invalid control field(s) "
		"(Intel SDM, \"VM-Instruction Error Numbers\")");
	log_has("pin 0xffffffff");
}

static void a_vmcs_that_is_not_launched(void)
{
	struct raw raw;

	/* On another CPU the VMCS would be launched anew in any case. */
	harness_run_on(0, 0);
	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	begin_log();
	CHECK_EQ(run_broken(&raw, "launch"), DUNE_EXIT_FAIL_ENTRY);
	read_log();
	CHECK_EQ(raw.run->entry_error, ERROR_VMRESUME_NOT_LAUNCHED);
	log_has("VM-instruction error 5: VMRESUME with non-launched VMCS");
	/* The module begins anew. */
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

static void an_exit_that_nothing_handles(void)
{
	struct raw raw;

	wait_for_the_log();
	load_rdtsc(&raw);
	begin_log();
	CHECK_EQ(run_broken(&raw, "rdtsc"), DUNE_EXIT_UNKNOWN);
	read_log();
	CHECK_EQ(raw.run->exit_reason, DUNE_EXIT_UNKNOWN);
	CHECK_EQ(raw.run->hardware_reason, REASON_RDTSC);
	CHECK_EQ(raw.run->rip, RAW_CODE + 3);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_EXIT_OTHER), 1);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_FAILED_ENTRIES), 0);
	log_has("exit that nothing handles, reason 0x10 RDTSC");
	log_has("rip 0x8003 ");
	/* The guest is where it was. */
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_UNKNOWN);
}

static void the_log_is_not_flooded(void)
{
	struct raw raw;

	load_rdtsc(&raw);
	begin_log();
	CHECK_EQ(run_broken(&raw, "rdtsc"), DUNE_EXIT_UNKNOWN);
	for (int i = 1; i < 1000; i++)
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_UNKNOWN);
	read_log();
	CHECK(log_count("exit that nothing handles") > 0);
	CHECK(log_count("exit that nothing handles") <= 6);
	CHECK_EQ(raw_stat(&raw, DUNE_STAT_EXIT_OTHER), 1000);
}

/* What the program's user reads on stderr. */
static void libdune_says_the_name(void)
{
	char text[1024] = "";
	int fds[2];
	pid_t child;

	CHECK_OK(pipe(fds));
	child = harness_fork();
	if (!child) {
		CHECK_OK(dup2(fds[1], 2));
		enter_dune();
		break_begin("rflags");
		for (;;)
			getppid();
	}
	close(fds[1]);
	CHECK_EQ(harness_wait(child), 128 + SIGSEGV);
	break_end();
	for (size_t length = 0, bytes = 1; bytes > 0 && length < sizeof(text) - 1; length += bytes)
		bytes = CHECK_OK(read(fds[0], text + length, sizeof(text) - 1 - length));
	if (!strstr(text,
		    "the CPU refuses the guest's state; INVALID_STATE (hardware reason 0x21)"))
		FAIL("libdune says: %s", text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(a_state_that_the_cpu_refuses, 40),
		guest_test_limit(machine_checks_are_on_inside, 40),
		guest_test(controls_that_the_cpu_refuses),
		guest_test(a_vmcs_that_is_not_launched),
		guest_test_limit(an_exit_that_nothing_handles, 40),
		guest_test_limit(the_log_is_not_flooded, 40),
		guest_test(libdune_says_the_name),
	};

	return run_guest_tests(tests);
}
