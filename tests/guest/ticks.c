// SPDX-License-Identifier: GPL-2.0-only
/* Signals at any moment; see ticks.h. */
#include "ticks.h"
#include "guest.h"

#include <sys/time.h>
#include <time.h>

volatile sig_atomic_t ticks;
static uint64_t end_us;

void on_tick(int signal)
{
	(void)signal;
	ticks++;
}

static uint64_t now_us(void)
{
	struct timespec now;

	CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &now));
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

void ticks_begin(void)
{
	struct itimerval timer = { { 0, TICK_US }, { 0, TICK_US } };

	CHECK(signal(SIGALRM, on_tick) != SIG_ERR);
	CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
	end_us = now_us() + 1000000;
}

bool ticks_go_on(void)
{
	return now_us() < end_us;
}

void ticks_end(void)
{
	const struct itimerval none = { 0 };

	CHECK_OK(setitimer(ITIMER_REAL, &none, NULL));
	CHECK(ticks > 100);
}
