/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signals at moments that nobody chose: SIGALRM comes again and again while a test goes
 * round in a loop, so that in the end it came everywhere.
 *
 *	ticks_begin();
 *	while (ticks_go_on())
 *		…
 *	ticks_end();
 */
#ifndef DUNE_TESTS_TICKS_H
#define DUNE_TESTS_TICKS_H

#include <signal.h>
#include <stdbool.h>
#include "harness.h"

/* Longer where a kernel that watches itself would do nothing but deliver them. */
#define TICK_US (700 * harness_patience())

/* The handler of SIGALRM counts here. */
extern volatile sig_atomic_t ticks;
void on_tick(int signal);

/* Inside. For one second. */
void ticks_begin(void);
bool ticks_go_on(void);
void ticks_end(void);

#endif
