// SPDX-License-Identifier: GPL-2.0-only
/*
 * A signal for which the program has a handler is lost: it neither runs the handler nor ends the
 * program, unless it asks for just that; and a new program has the default action again. What else
 * the program says of a signal holds.
 */
#include "sandboxed.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int handled;

static void handler(int signal)
{
	(void)signal;
	handled++;
}

static void sleep_ms(long ms)
{
	struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&rest, &rest))
		CHECK_EQ(errno, EINTR);
}

static void raise_alarm(void)
{
	const struct itimerval soon = { .it_value.tv_usec = 10000 };

	CHECK_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
	sleep_ms(100);
}

static void timers_do_not_end_it(void)
{
	CHECK(signal(SIGALRM, handler) == SIG_DFL);
	raise_alarm();
	CHECK_EQ(handled, 0);
}

/* A child that has prepared itself is sent this signal, and then may end with 17. */
static int signal_child_that(void (*prepare)(int number), int number)
{
	int ends[2], ready[2];
	char byte = 0;
	pid_t child;

	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(pipe(ready), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		prepare(number);
		close(ends[1]);
		CHECK_EQ(write(ready[1], &byte, 1), 1);
		_exit(read(ends[0], &byte, 1) == 0 ? 17 : 1);
	}
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	close(ends[0]);
	CHECK_EQ(kill(child, number), 0);
	close(ends[1]);
	return inside_wait(child);
}

static void handle(int number)
{
	signal(number, handler);
}

static int signal_child(int number)
{
	return signal_child_that(handle, number);
}

static void others_do_not_end_it(void)
{
	CHECK_EQ(signal_child(SIGUSR1), 17);
	CHECK_EQ(signal_child(SIGUSR2), 17);
	CHECK_EQ(signal_child(SIGIO), 17);
	CHECK_EQ(signal_child(SIGRTMIN + 1), 17);
	CHECK_EQ(signal_child(SIGWINCH), 17);
}

/* Its handler would clean up, and end it. */
static void requests_to_end_do(void)
{
	const int requests[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	int ends[2];
	pid_t child;

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		CHECK_EQ(signal_child(requests[i]), 128 + requests[i]);
	CHECK_EQ(pipe(ends), 0);
	close(ends[0]);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		signal(SIGPIPE, handler);
		_exit(write(ends[1], "x", 1) == 1);
	}
	CHECK_EQ(inside_wait(child), 128 + SIGPIPE);
}

/* If SIGCHLD were ignored there would be nobody to wait for. */
static void children_are_waited_for(void)
{
	pid_t child;

	signal(SIGCHLD, handler);
	child = fork();
	CHECK(child >= 0);
	if (!child)
		_exit(3);
	sleep_ms(100);
	CHECK_EQ(inside_wait(child), 3);
}

/* Its number may be another's by then, but not while there is a child. */
static void children_may_vanish(void)
{
	const struct sigaction vanish = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
	int ends[2];
	pid_t child;
	char byte;

	CHECK_EQ(sigaction(SIGCHLD, &vanish, NULL), 0);
	CHECK_EQ(pipe(ends), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		close(ends[0]);
		for (;;)
			pause();
	}
	close(ends[1]);
	CHECK_EQ(RAW(SYS_kill, child, 0), 0);
	CHECK_EQ(RAW(SYS_kill, child, 1000), -EINVAL);
	CHECK_EQ(RAW(SYS_kill, child, SIGKILL), 0);
	CHECK_EQ(read(ends[0], &byte, 1), 0);
	CHECK_EQ(RAW(SYS_wait4, child, NULL, 0, NULL), -ECHILD);
	CHECK_EQ(RAW(SYS_kill, child, SIGKILL), -EPERM);
}

static void block(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
}

static int is_pending(int number)
{
	sigset_t set;

	CHECK_EQ(sigpending(&set), 0);
	return sigismember(&set, number);
}

/* Then it is there, also for a new program, until it is let through. */
static void end_by_what_is_pending(void)
{
	sigset_t set;

	CHECK(is_pending(SIGTERM));
	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &set), 0);
	CHECK(sigismember(&set, SIGTERM));
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static void blocked_ones_from_outside_wait(void)
{
	int ends[2];
	pid_t child;
	char byte = 0;

	CHECK_EQ(signal_child_that(block, SIGTERM), 17);
	CHECK_EQ(signal_child_that(block, SIGPIPE), 17);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(pipe(ends), 0);
		child = fork();
		CHECK(child >= 0);
		if (!child) {
			block(SIGTERM);
			CHECK_EQ(write(ends[1], &byte, 1), 1);
			close(ends[1]);
			while (!is_pending(SIGTERM))
				sleep_ms(1);
			if (i)
				execl("/proc/self/exe", "x", INSIDE, "end_by_what_is_pending",
				      NULL);
			end_by_what_is_pending();
			_exit(1);
		}
		CHECK_EQ(read(ends[0], &byte, 1), 1);
		CHECK_EQ(kill(child, SIGTERM), 0);
		CHECK_EQ(inside_wait(child), 128 + SIGTERM);
	}
}

/* With another mask for that time, which lets through what is blocked otherwise. */
static void wait_with(int how, const sigset_t *mask)
{
	struct epoll_event event;

	if (how == 0)
		ppoll(NULL, 0, NULL, mask);
	else if (how == 1)
		pselect(0, NULL, NULL, NULL, NULL, mask);
	else if (how == 2)
		epoll_pwait(epoll_create1(0), &event, 1, -1, mask);
	else
		sigsuspend(mask);
}

static void waits_have_masks_of_their_own(void)
{
	sigset_t none;
	pid_t child;
	int ends[2];
	char byte;

	sigemptyset(&none);
	for (int how = 0; how < 8; how++) {
		CHECK_EQ(pipe(ends), 0);
		child = fork();
		CHECK(child >= 0);
		if (!child) {
			block(SIGTERM);
			CHECK_EQ(write(ends[1], "", 1), 1);
			if (how >= 4) { /* it waits already */
				CHECK_EQ(raise(SIGTERM), 0);
				CHECK(is_pending(SIGTERM));
				CHECK_EQ(write(ends[1], "", 1), 1);
			}
			wait_with(how % 4, &none);
			_exit(1);
		}
		close(ends[1]);
		CHECK_EQ(read(ends[0], &byte, 1), 1);
		if (how < 4) {
			sleep_ms(20);
			CHECK_EQ(kill(child, SIGTERM), 0);
		} else {
			CHECK_EQ(read(ends[0], &byte, 1), 1);
		}
		CHECK_EQ(inside_wait(child), 128 + SIGTERM);
	}
}

/* One that was pending is delivered when it is let through. */
static void wait_for_a_pending_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	CHECK_EQ(raise(SIGTERM), 0);
	sigemptyset(&set);
	sigsuspend(&set);
}

static void default_actions_come_back(void)
{
	signal(SIGALRM, handler);
	signal(SIGALRM, SIG_DFL);
	raise_alarm();
}

static void new_programs_have_no_handlers(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (!child) {
		signal(SIGALRM, handler);
		execl("/nonexistent", "x", NULL);
		raise_alarm();
		execl("/proc/self/exe", "x", INSIDE, "raise_alarm", NULL);
		_exit(1);
	}
	CHECK_EQ(inside_wait(child), 128 + SIGALRM);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		signal(SIGALRM, SIG_IGN);
		execl("/proc/self/exe", "x", INSIDE, "raise_alarm", NULL);
		_exit(1);
	}
	CHECK_EQ(inside_wait(child), 0);
}

static const struct inside_case cases[] = {
	inside_case(timers_do_not_end_it),
	inside_case(others_do_not_end_it),
	inside_case(requests_to_end_do),
	inside_case(blocked_ones_from_outside_wait),
	inside_case(end_by_what_is_pending),
	inside_case(waits_have_masks_of_their_own),
	inside_case(children_are_waited_for),
	inside_case(children_may_vanish),
	inside_case(wait_for_a_pending_signal),
	inside_case(default_actions_come_back),
	inside_case(new_programs_have_no_handlers),
	inside_case(raise_alarm),
	{ 0 },
};

/* ---- Outside ------------------------------------------------------------ */

static void without_a_handler_they_end_it(void **state)
{
	struct outcome outcome;

	(void)state;
	RUN_SANDBOXED(&outcome, own_path(), INSIDE, "default_actions_come_back");
	assert_int_equal(outcome.signal, SIGALRM);
	outcome_free(&outcome);
}

static void pending_ones_end_it_when_it_waits(void **state)
{
	struct outcome outcome;

	(void)state;
	RUN_SANDBOXED(&outcome, own_path(), INSIDE, "wait_for_a_pending_signal");
	assert_int_equal(outcome.signal, SIGTERM);
	outcome_free(&outcome);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		inside_test(timers_do_not_end_it),
		inside_test(others_do_not_end_it),
		inside_test(requests_to_end_do),
		inside_test(blocked_ones_from_outside_wait),
		inside_test(waits_have_masks_of_their_own),
		inside_test(children_are_waited_for),
		inside_test(children_may_vanish),
		inside_test(new_programs_have_no_handlers),
		cmocka_unit_test(without_a_handler_they_end_it),
		cmocka_unit_test(pending_ones_end_it_when_it_waits),
	};

	inside_main(argc, argv, cases);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
