// SPDX-License-Identifier: GPL-2.0-only
/*
 * A non-maskable interrupt that makes a guest leave goes to Linux's handlers, each once,
 * and the guest goes on as if nothing had been. Profilers and watchdogs are made of them;
 * here another CPU sends them.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "module.h"
#include "raw.h"
#include "worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>

enum { NR_NMIS = 500 };

/* Everybody else is on CPU 1, to which they go. */
static void send_nmis(void)
{
	char text[32];

	harness_run_on(0, 0);
	snprintf(text, sizeof(text), "1 %d", NR_NMIS);
	CHECK_EQ(module_write_parameter("dune_inject", "nmi", text), 0);
}

static void begin(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	/* It may be left of a test that failed. */
	if (!module_is_loaded("dune_inject"))
		CHECK_EQ(module_load("dune_inject", ""), 0);
	harness_run_on(0, 1);
}

static void end(void)
{
	CHECK_EQ(module_unload("dune_inject"), 0);
}

static volatile bool all_are_sent;

static void on_signal(int signal)
{
	(void)signal;
}

static void *send_and_stop(void *spinning)
{
	send_nmis();
	all_are_sent = true;
	CHECK_EQ(pthread_kill(*(pthread_t *)spinning, SIGUSR1), 0);
	return NULL;
}

/*
 * One that never leaves by itself: nearly all of them find it in the guest, and are counted.
 * Bochs before 3.0 holds them back in a guest after the first, until it leaves for something else.
 */
static void counted_where_they_end_a_run(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t self = pthread_self(), thread;
	struct dune_state state = { .groups = DUNE_STATE_REGS };
	struct raw raw;

	begin();
	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	raw_create(&raw);
	raw_load(&raw, raw_spin, RAW_DATA, 0);
	CHECK_EQ(pthread_create(&thread, NULL, send_and_stop, &self), 0);
	while (!all_are_sent) {
		CHECK_EQ(lseek(raw.vcpu, 0, SEEK_SET), DUNE_EXIT_INTR); /* DUNE_RUN */
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	harness_note("%lu of %d NMIs came in the guest", raw_stat(&raw, DUNE_STAT_EXIT_NMI),
		     NR_NMIS);
	CHECK(raw_stat(&raw, DUNE_STAT_EXIT_NMI) > 0);
	CHECK(raw_stat(&raw, DUNE_STAT_EXIT_NMI) <= NR_NMIS);
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &state));
	CHECK(state.gpr[DUNE_RBX] - *(uint64_t *)(raw.memory + RAW_DATA) <= 1);
	end();
}

/* A storm of them, over two processes that take turns. */
static void not_seen_by_who_computes(void)
{
	struct worker workers[2];

	begin();
	for (int i = 0; i < 2; i++)
		workers[i] = worker_start();
	send_nmis();
	for (int i = 0; i < 2; i++)
		worker_finish(&workers[i]);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(counted_where_they_end_a_run, 60),
		guest_test_limit(not_seen_by_who_computes, 60),
	};

	return run_guest_tests(tests);
}
