// SPDX-License-Identifier: GPL-2.0-only
/*
 * dune-stat: shows what the vms of this computer do, from the module's counters in
 * debugfs: live, once, or as JSON. vms.c reads, table.c and json.c show.
 */
#include "show.h"
#include "vms.h"

#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

const char *argp_program_version = "dune-stat 0.1";

/* ---- Options ----------------------------------------------------------- */

#define KEY_ONCE      256
#define KEY_JSON      257
#define LONGEST_DELAY 86400.0

struct options {
	bool once, json;
	pid_t pid;
	double delay;
	unsigned long count; /* of tables; 0: no end */
};

static const struct argp_option option_list[] = {
	{ "once", KEY_ONCE, NULL, 0, "Show once what has been counted since each vm began", 0 },
	{ "json", KEY_JSON, NULL, 0, "The same as one JSON object, with all vcpus and reasons", 0 },
	{ "pid", 'p', "PID", 0, "Only vms of this process", 0 },
	{ "delay", 'd', "SECONDS", 0, "Time between two tables (1)", 0 },
	{ "number", 'n', "COUNT", 0, "End after this many tables", 0 },
	{ 0 },
};

static long parse_number(struct argp_state *state, const char *text, const char *what)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || *end || end == text || value < 1 || value > INT_MAX)
		argp_error(state, "%s: not a %s", text, what);
	return value;
}

static double parse_delay(struct argp_state *state, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (*end || end == text || !(value >= 0.01 && value <= LONGEST_DELAY))
		argp_error(state, "%s: not a time between 0.01 and %.0f seconds", text,
			   LONGEST_DELAY);
	return value;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case KEY_JSON:
		options->json = true;
		/* fall through */
	case KEY_ONCE:
		options->once = true;
		return 0;
	case 'p':
		options->pid = parse_number(state, argument, "process");
		return 0;
	case 'd':
		options->delay = parse_delay(state, argument);
		return 0;
	case 'n':
		options->count = parse_number(state, argument, "number of tables");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp parser = {
	.options = option_list,
	.parser = parse_option,
	.doc = "Shows each process that runs in Dune: exits per second by reason and memory for EPT, the "
	       "busiest first. q or ^C ends it.\v"
	       "It reads the module's files in debugfs, which takes root.",
};

/* ---- Once -------------------------------------------------------------- */

static int show_once(const struct options *options)
{
	struct vms vms;

	if (vms_read(&vms, options->pid))
		return 1;
	if (options->pid && !vms.nr) {
		fprintf(stderr, "dune-stat: process %d has no vm\n", options->pid);
		return 1;
	}
	if (options->json)
		show_json(&vms);
	else
		show_table(&vms, NULL, UINT_MAX);
	vms_free(&vms);
	return 0;
}

/* ---- Live -------------------------------------------------------------- */

static volatile sig_atomic_t ended;
static struct termios terminal_before;
static bool has_keys;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static void restore_terminal(void)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
}

/* Single keys, where there is a keyboard. */
static void take_keys(void)
{
	struct termios terminal;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal_before))
		return;
	terminal = terminal_before;
	terminal.c_lflag &= ~(ICANON | ECHO);
	atexit(restore_terminal);
	has_keys = !tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
}

static double monotonic_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Until the time is over, or the user has had enough. */
static void wait_for_keys(double seconds)
{
	struct pollfd keys = { .fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN };
	double until = monotonic_seconds() + seconds, left;

	while (!ended && (left = until - monotonic_seconds()) > 0) {
		char key;

		if (poll(&keys, 1, ceil(left * 1000)) <= 0 || !keys.revents)
			continue;
		if (read(STDIN_FILENO, &key, 1) < 1 || key == 'q' || key == 'Q')
			ended = 1;
	}
}

static unsigned screen_lines(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row)
		return UINT_MAX;
	return size.ws_row - 1;
}

static void show_frame(const struct vms *now, const struct vms *earlier)
{
	if (isatty(STDOUT_FILENO))
		printf("\033[H\033[J"); /* home, and clear to the end */
	show_table(now, earlier, screen_lines());
	fflush(stdout);
}

static int show_live(const struct options *options)
{
	struct sigaction action = { .sa_handler = end };
	struct vms earlier, now;
	unsigned long shown = 0;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (vms_read(&earlier, options->pid))
		return 1;
	take_keys();
	for (;;) {
		wait_for_keys(options->delay);
		if (ended || vms_read(&now, options->pid))
			break;
		show_frame(&now, &earlier);
		vms_free(&earlier);
		earlier = now;
		if (++shown == options->count)
			ended = 1;
	}
	vms_free(&earlier);
	return ended ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct options options = { .delay = 1 };

	argp_parse(&parser, argc, argv, 0, NULL, &options);
	return options.once ? show_once(&options) : show_live(&options);
}
