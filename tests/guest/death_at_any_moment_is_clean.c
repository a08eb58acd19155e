// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process may be killed at any moment of its life in Dune, and may close its
 * descriptors: what it leaves behind is nothing.
 */
#define _GNU_SOURCE
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { NR_DEATHS = 40 };

static void still_works(void)
{
	pid_t child = harness_fork();

	if (!child) {
		if (!dune_inside())
			enter_dune();
		CHECK_EQ(current_ring(), 0);
		CHECK(getppid() > 0);
		_exit(0);
	}
	JOIN(child);
}

static void kill_at_random(void (*victim)(void), unsigned most_us)
{
	for (int i = 0; i < NR_DEATHS; i++) {
		pid_t child = harness_fork();

		if (!child) {
			victim();
			_exit(1);
		}
		usleep(rand() % most_us);
		CHECK_OK(kill(child, SIGKILL));
		CHECK_EQ(harness_wait(child), 128 + SIGKILL);
	}
	still_works();
}

static void enter_for_ever(void)
{
	CHECK_EQ(dune_init(), 0);
	for (;;) {
		CHECK_EQ(dune_enter(), 0);
		CHECK_EQ(dune_leave(), 0);
	}
}

static void call_and_fault_for_ever(void)
{
	char *pages = map_pages(64, PROT_READ | PROT_WRITE);

	enter_dune();
	for (;;) {
		memset(pages, 1, 64 * PAGE_BYTES);
		madvise(pages, 64 * PAGE_BYTES, MADV_DONTNEED);
		mprotect(pages, PAGE_BYTES, PROT_READ);
		mprotect(pages, PAGE_BYTES, PROT_READ | PROT_WRITE);
	}
}

static void fork_for_ever(void)
{
	enter_dune();
	for (;;) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
}

static void *nothing(void *argument)
{
	return argument;
}

static void make_threads_for_ever(void)
{
	enter_dune();
	for (;;) {
		pthread_t thread;

		if (!pthread_create(&thread, NULL, nothing, NULL))
			pthread_join(thread, NULL);
	}
}

static void spin_for_ever(void)
{
	enter_dune();
	for (;;)
		;
}

static void entering_and_leaving(void)
{
	kill_at_random(enter_for_ever, 20000);
}

static void calling_and_faulting(void)
{
	kill_at_random(call_and_fault_for_ever, 20000);
}

static void forking(void)
{
	kill_at_random(fork_for_ever, 30000);
}

static void making_threads(void)
{
	kill_at_random(make_threads_for_ever, 30000);
}

static void spinning(void)
{
	kill_at_random(spin_for_ever, 15000);
}

/* Closes every descriptor of which this text is a part of the name. */
static int close_descriptors(const char *text)
{
	int closed = 0;

	for (int fd = 3; fd < 1024; fd++) {
		char path[64], target[256];
		ssize_t bytes;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		bytes = readlink(path, target, sizeof(target) - 1);
		if (bytes < 0)
			continue;
		target[bytes] = 0;
		if (strstr(target, text)) {
			close(fd);
			closed++;
		}
	}
	return closed;
}

static void losing_the_device(void)
{
	char *page;

	enter_dune();
	CHECK(close_descriptors("/dev/dune") > 0);
	page = map_pages(2, PROT_READ | PROT_WRITE);
	page[0] = 1;
	page[4096] = 2;
	for (int i = 0; i < 100; i++)
		CHECK(getppid() > 0);
	still_works();
}

/* Its own fault: it may die, but only itself. */
static void losing_the_vcpu(void)
{
	pid_t child = harness_fork();

	if (!child) {
		freopen("/dev/null", "w", stderr);
		enter_dune();
		close_descriptors("dune");
		getppid();
		_exit(0);
	}
	harness_wait(child);
	still_works();
}

static void dumping_core(void)
{
	pid_t child = harness_fork();

	if (!child) {
		enter_dune();
		abort();
	}
	CHECK_EQ(harness_wait(child) & ~0x80, SIGABRT);
	still_works();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(entering_and_leaving, 60),
		guest_test_limit(calling_and_faulting, 60),
		guest_test_limit(forking, 60),
		guest_test_limit(making_threads, 60),
		guest_test_limit(spinning, 60),
		guest_test(losing_the_device),
		guest_test(losing_the_vcpu),
		guest_test(dumping_core),
	};

	return run_guest_tests(tests);
}
