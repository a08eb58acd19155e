// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an ordinary process pays: a system call, the first touch of a page, and
 * a round trip to another process over two pipes, which is how code that is not
 * trusted is called without Dune.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <unistd.h>
#include <sys/syscall.h>

static void run_getpid(void *context, unsigned long n)
{
	(void)context;
	while (n--)
		syscall(SYS_getpid);
}

struct peer {
	int to, from;
};

static void run_round_trip(void *context, unsigned long n)
{
	const struct peer *peer = context;
	char byte = 0;

	while (n--)
		if (write(peer->to, &byte, 1) != 1 || read(peer->from, &byte, 1) != 1)
			bench_fail("pipe");
}

static void measure_round_trip(struct bench_table *table)
{
	int there[2], back[2];
	char byte;

	if (pipe(there) || pipe(back))
		bench_fail("pipe");
	if (!fork()) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
			;
		_exit(0);
	}
	bench_measure(table, &(struct bench_operation){
				     .operation = "ring3_call",
				     .system = "linux",
				     .n = BENCH_CALLS,
				     .run = run_round_trip,
				     .context = &(struct peer){ there[1], back[0] },
			     });
	close(there[1]);
}

void bench_linux(struct bench_table *table)
{
	void *pages = bench_pages(), *large = bench_large();

	bench_measure(table, &(struct bench_operation){ "hypercall_getpid", "linux", BENCH_CALLS,
							NULL, run_getpid, 0, 0, 0 });
	bench_measure(table, &(struct bench_operation){ "first_touch_write", "linux", BENCH_TOUCHES,
							bench_pages_drop, bench_pages_write, 0,
							pages, 0 });
	bench_measure(table,
		      &(struct bench_operation){ "first_touch_read", "linux", BENCH_TOUCHES,
						 bench_pages_drop, bench_pages_read, 0, pages, 0 });
	bench_measure(table, &(struct bench_operation){ "touch_1g_page", "linux", BENCH_LARGE_PAGES,
							NULL, bench_pages_write, 0, large, 1 });
	bench_measure(table, &(struct bench_operation){ "fork_1g", "linux", 1, bench_large_read,
							bench_fork, 0, large, 1 });
	measure_round_trip(table);
}
