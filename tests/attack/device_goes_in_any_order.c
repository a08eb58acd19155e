// SPDX-License-Identifier: GPL-2.0-only
/*
 * Closing, unmapping, dying and executing something else, in any order and at
 * any moment, leave nothing behind; and there may be many of everything.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static struct raw raw;

static void close_the_vm_first(void)
{
	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	close(raw.device);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	close(raw.vcpu);
	raw_must_work();
}

static void close_the_vcpu_first(void)
{
	struct dune_stats stats;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	close(raw.vcpu);
	CHECK_ERRNO(lseek(raw.vcpu, 0, SEEK_SET), EBADF);
	CHECK_OK(munmap(raw.run, DUNE_RUN_SIZE));
	CHECK_OK(ioctl(raw.device, DUNE_GET_STATS, &stats));
	CHECK_EQ(stats.value[DUNE_STAT_EXIT_HYPERCALL], 1); /* of a vcpu that is gone */
	raw_must_work();
}

static volatile sig_atomic_t stop;

static void stop_running(int signal)
{
	(void)signal;
	stop = 1;
}

static void *run_for_ever(void *unused)
{
	while (lseek(raw.vcpu, 0, SEEK_SET) == DUNE_EXIT_INTR && !stop)
		;
	return unused;
}

static pthread_t start_runner(void)
{
	struct sigaction action = { .sa_handler = stop_running };
	pthread_t runner;

	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	raw_create(&raw);
	raw_load(&raw, raw_spin, RAW_DATA, 0);
	CHECK_EQ(pthread_create(&runner, NULL, run_for_ever, NULL), 0);
	while (!*(volatile uint64_t *)(raw.memory + RAW_DATA))
		sched_yield();
	return runner;
}

static void close_while_a_thread_is_inside(void)
{
	pthread_t runner = start_runner();

	close(raw.vcpu);
	close(raw.device);
	munmap(raw.run, DUNE_RUN_SIZE);
	pthread_kill(runner, SIGUSR1);
	CHECK_EQ(pthread_join(runner, NULL), 0);
	raw_must_work();
}

static void unmap_what_the_guest_runs_on(void)
{
	start_runner();
	CHECK_OK(munmap(raw.memory, RAW_BYTES));
	/* The thread comes back with DUNE_EXIT_MEMORY or a shutdown. */
	raw_must_work();
}

static void exit_while_a_thread_is_inside(void)
{
	for (int i = 0; i < 10; i++) {
		pid_t child = harness_fork();

		if (!child) {
			start_runner();
			_exit(9);
		}
		CHECK_EQ(harness_wait(child), 9);
	}
	raw_must_work();
}

static void killed_while_inside(void)
{
	for (int i = 0; i < 20; i++) {
		pid_t child = harness_fork();

		if (!child) {
			raw_create(&raw);
			raw_load(&raw, raw_spin, RAW_DATA, 0);
			raw_run(&raw);
			_exit(1);
		}
		usleep(500 + rand() % 8000);
		CHECK_OK(kill(child, SIGKILL));
		CHECK_EQ(harness_wait(child), 128 + SIGKILL);
	}
	raw_must_work();
}

static void stopped_and_continued_inside(void)
{
	pid_t child = harness_fork();
	int status;

	if (!child) {
		raw_create(&raw);
		raw_load(&raw, raw_spin, RAW_DATA, 0);
		raw_run(&raw);
		_exit(1);
	}
	usleep(5000);
	for (int i = 0; i < 5; i++) {
		CHECK_OK(kill(child, SIGSTOP));
		CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
		CHECK(WIFSTOPPED(status));
		CHECK_OK(kill(child, SIGCONT));
		usleep(2000);
	}
	CHECK_OK(kill(child, SIGKILL));
	CHECK_EQ(harness_wait(child), 128 + SIGKILL);
}

static void exec_closes_a_vcpu(void)
{
	pid_t child = harness_fork();

	if (!child) {
		start_runner();
		fcntl(raw.device, F_SETFD, 0); /* the vm stays open across it */
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	CHECK_EQ(harness_wait(child), 0);
	raw_must_work();
}

static void exec_leaves_a_vm_that_is_stale(void)
{
	pid_t child = harness_fork();
	char number[16];

	if (!child) {
		raw_create(&raw);
		fcntl(raw.device, F_SETFD, 0);
		snprintf(number, sizeof(number), "%d", raw.device);
		setenv("DUNE_STALE_FD", number, 1);
		execl("/proc/self/exe", "stale", (char *)NULL);
		_exit(127);
	}
	CHECK_EQ(harness_wait(child), 0);
}

static void duplicated_and_polled(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll, copy;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	copy = CHECK_OK(dup(raw.vcpu));
	close(raw.vcpu);
	raw.vcpu = copy;
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	epoll = CHECK_OK(epoll_create1(0));
	/* Neither can be waited for. */
	CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, raw.vcpu, &event), EPERM);
	CHECK_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, raw.device, &event), EPERM);
}

static void many_descriptors(void)
{
	struct rlimit limit = { 4096, 4096 };
	int vcpus = 0, vms = 0;

	setrlimit(RLIMIT_NOFILE, &limit);
	raw_create(&raw);
	while (ioctl(raw.device, DUNE_CREATE_VCPU, 0) >= 0)
		vcpus++;
	CHECK(errno == EMFILE || errno == ENOMEM || errno == EAGAIN);
	CHECK(vcpus > 100);
	CHECK_OK(syscall(SYS_close_range, raw.vcpu + 1, ~0u, 0));
	while (open("/dev/dune", O_RDWR) >= 0)
		vms++;
	CHECK(errno == EMFILE || errno == ENOMEM || errno == EAGAIN);
	CHECK(vms > 100);
	CHECK_OK(syscall(SYS_close_range, raw.vcpu + 1, ~0u, 0));
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	harness_note("%d vcpus of one vm, %d vms", vcpus, vms);
}

static _Bool module_can_go(void)
{
	errno = 0;
	return !syscall(SYS_delete_module, "dune", O_NONBLOCK) ||
	       (errno != EAGAIN && errno != EBUSY);
}

static void the_module_stays_while_open(void)
{
	int device = CHECK_OK(open("/dev/dune", O_RDWR));

	CHECK(!module_can_go()); /* a vm without a vcpu */
	close(device);
	raw_create(&raw);
	CHECK(!module_can_go());
	close(raw.device);
	CHECK(!module_can_go()); /* a vcpu alone */
	CHECK_EQ(raw_run(&raw) >= 0, 1);
}

/* What exec_leaves_a_vm_that_is_stale() runs. */
static int try_stale_fd(int fd)
{
	struct dune_caps caps;

	return ioctl(fd, DUNE_GET_CAPS, &caps) == -1 && errno == ESTALE ? 0 : 1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(close_the_vm_first),
		guest_test(close_the_vcpu_first),
		guest_test(close_while_a_thread_is_inside),
		guest_test(unmap_what_the_guest_runs_on),
		guest_test(exit_while_a_thread_is_inside),
		guest_test(killed_while_inside),
		guest_test(stopped_and_continued_inside),
		guest_test(exec_closes_a_vcpu),
		guest_test(exec_leaves_a_vm_that_is_stale),
		guest_test(duplicated_and_polled),
		guest_test_limit(many_descriptors, 120),
		guest_test(the_module_stays_while_open),
	};

	if (getenv("DUNE_STALE_FD"))
		return try_stale_fd(atoi(getenv("DUNE_STALE_FD")));
	return run_guest_tests(tests);
}
