// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU may be taken away while a vcpu runs on it, and may come back: the vcpu
 * goes on elsewhere with what it had, whoever keeps VMX on.
 */
#define _GNU_SOURCE
#include "module.h"
#include "raw.h"
#include "small_kvm.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>

#define CPU1 "/sys/devices/system/cpu/cpu1/online"

/* DUNE_HOTPLUGS changes the number of times. */
static int times(void)
{
	return atoi(getenv("DUNE_HOTPLUGS") ?: "6");
}

static int online(const char *text)
{
	int fd = CHECK_OK(open(CPU1, O_WRONLY | O_CLOEXEC));
	int result = write(fd, text, 1) == 1 ? 0 : -errno;

	close(fd);
	return result;
}

static void need_cpu_1(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	TEST_REQUIRE(!access(CPU1, W_OK), "the kernel cannot take CPU 1 away");
}

/* ---- A thread that runs a guest on CPU 1 whenever there is one ------------------ */

static struct raw raw;
static pthread_t runner;
static volatile int stop;
static volatile long wrong;

static void run_on_cpu_1(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(1, &set);
	sched_setaffinity(0, sizeof(set), &set); /* in vain while it is gone */
}

/* Some time in the guest, registers and memory in step, and out again. */
static void *run_and_compare(void *unused)
{
	uint64_t expected = 0;

	while (!stop) {
		long reason;

		run_on_cpu_1();
		for (int i = 0; i < 200 && !stop; i++) {
			reason = raw_run(&raw);
			expected++;
			if (reason != DUNE_EXIT_HYPERCALL || raw.run->gpr[DUNE_RBX] != expected) {
				wrong = reason ?: -1;
				return unused;
			}
		}
	}
	return unused;
}

/* Never out by itself. */
static void *spin(void *unused)
{
	while (!stop) {
		long reason;

		run_on_cpu_1();
		reason = lseek(raw.vcpu, 0, SEEK_SET);
		if (reason != DUNE_EXIT_INTR) {
			wrong = reason ?: -1;
			return unused;
		}
	}
	return unused;
}

static void interrupted(int signal)
{
	(void)signal;
}

static void take_away_and_bring_back(const char *code, void *(*run)(void *))
{
	volatile uint64_t *counter;
	struct sigaction action = { .sa_handler = interrupted };

	need_cpu_1();
	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	raw_create(&raw);
	raw_load(&raw, code, RAW_DATA, 0);
	counter = code == raw_spin ? (void *)(raw.memory + RAW_DATA)
				   : (void *)&raw.run->gpr[DUNE_RBX];
	CHECK_EQ(pthread_create(&runner, NULL, run, NULL), 0);
	for (int i = 0; i < times(); i++) {
		for (int gone = 1; gone >= 0; gone--) {
			uint64_t before;

			CHECK_EQ(online(gone ? "0" : "1"), 0);
			before = *counter;
			while (*counter == before && !wrong)
				usleep(500);
		}
		pthread_kill(runner, SIGUSR1); /* back to CPU 1 */
		usleep(rand() % 4000);
		CHECK_EQ(wrong, 0);
	}
	stop = 1;
	pthread_kill(runner, SIGUSR1);
	CHECK_EQ(pthread_join(runner, NULL), 0);
	CHECK_EQ(wrong, 0);
	/* It has been on both. */
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

static void spins(void)
{
	take_away_and_bring_back(raw_spin, spin);
}

static void calls(void)
{
	take_away_and_bring_back(raw_count, run_and_compare);
}

/* A vcpu that has last run on the CPU that goes, and does not run meanwhile. */
static void sleeps(void)
{
	need_cpu_1();
	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	for (int i = 0; i < times(); i++) {
		run_on_cpu_1();
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.run->cpu, 1);
		CHECK_EQ(online("0"), 0);
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.run->cpu, 0);
		CHECK_EQ(online("1"), 0);
		CHECK_EQ(raw.run->gpr[DUNE_RBX], 2 * i + 2);
	}
}

/* A vm that begins while the CPU is gone runs there when it is back. */
static void begins_with_one_cpu(void)
{
	need_cpu_1();
	CHECK_EQ(online("0"), 0);
	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(online("1"), 0);
	run_on_cpu_1();
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.run->cpu, 1);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], 2);
}

/* ---- The same where Dune has turned VMX on itself ----------------------------- */

/* What needs to be put right again whatever happened. */
static void without_kvm(void (*test)(void))
{
	int had_kvm = module_is_loaded("kvm_intel"), code;
	const char *why;
	pid_t child;

	need_cpu_1();
	if (had_kvm)
		TEST_REQUIRE(!module_unload("kvm_intel"), "kvm_intel cannot be unloaded");
	TEST_REQUIRE(open("/dev/kvm", O_RDWR) < 0, "KVM is built in");
	child = harness_fork();
	if (!child) {
		struct dune_caps caps;
		int device = CHECK_OK(open("/dev/dune", O_RDWR));

		CHECK_OK(ioctl(device, DUNE_GET_CAPS, &caps));
		TEST_REQUIRE(caps.features & DUNE_CAP_OWN_VMX,
			     "this kernel lets only KVM have VMX");
		close(device);
		test();
		_exit(0);
	}
	code = harness_wait(child);
	online("1");
	if (had_kvm) {
		CHECK_EQ(module_probe("kvm_intel"), 0);
		if (small_kvm_run(3, &why))
			FAIL("%s", why);
	}
	if (code)
		_exit(code); /* it has said why */
}

static void spins_with_own_vmx(void)
{
	without_kvm(spins);
}

static void calls_with_own_vmx(void)
{
	without_kvm(calls);
}

static void sleeps_with_own_vmx(void)
{
	without_kvm(sleeps);
}

static void begins_with_one_cpu_and_own_vmx(void)
{
	without_kvm(begins_with_one_cpu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(spins, 120),
		guest_test_limit(calls, 120),
		guest_test_limit(sleeps, 120),
		guest_test_limit(begins_with_one_cpu, 120),
		guest_test_limit(spins_with_own_vmx, 120),
		guest_test_limit(calls_with_own_vmx, 120),
		guest_test_limit(sleeps_with_own_vmx, 120),
		guest_test_limit(begins_with_one_cpu_and_own_vmx, 120),
	};
	int result = run_guest_tests(tests);

	if (!access(CPU1, W_OK))
		online("1"); /* for those that come after us */
	return result;
}
