// SPDX-License-Identifier: GPL-2.0-only
/*
 * Meltdown: ring 3 reads a page of ring 0, faults, and looks in the cache for
 * what the CPU made of it all the same. Nothing is to be found, unless the host
 * does without defences itself, or the module was loaded with unsafe=1. That
 * the method works is tried on memory that ring 3 may read.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "leak_gadget.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { SECRET_BYTES = 32, TRIES = 8, PF = 14, CONTROL_ROUNDS = 64 };

static volatile unsigned char secret[PAGE_BYTES] __attribute__((aligned(4096)));
static char policy[256];

/* In the arena: a page of ring 3's own, a page for times, the lines. */
static uint64_t own_page(void)
{
	return ring3_data();
}

static uint64_t ticks_page(void)
{
	return ring3_data() + PAGE_BYTES;
}

static uint64_t lines(void)
{
	return ring3_data() + 2 * PAGE_BYTES;
}

/* Before dune_enter(): does the host let it be? */
static void read_policy(void)
{
	int fd = open("/sys/devices/system/cpu/vulnerabilities/meltdown", O_RDONLY);
	ssize_t bytes = fd < 0 ? 0 : read(fd, policy, sizeof(policy) - 1);

	policy[bytes > 0 ? bytes : 0] = 0;
	policy[strcspn(policy, "\n")] = 0;
	close(fd);
}

static bool loaded_unsafe(void)
{
	char value = 'N';
	int fd = open("/sys/module/dune/parameters/unsafe", O_RDONLY);

	CHECK(read(fd, &value, 1) == 1);
	close(fd);
	return value == 'Y';
}

static void prepare(void)
{
	uint64_t bytes = (LEAK_LINES + 1) * PAGE_BYTES;

	read_policy();
	enter_dune();
	ring3_place(leak_code, leak_code_end);
	CHECK(mmap((void *)ticks_page(), bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1,
		   0) == (void *)ticks_page());
	/* One page would be the zero page, hence one line, for all of them. */
	for (uint64_t i = 0; i < LEAK_LINES; i++)
		CHECK_EQ(dune_copy_to_user(lines() + i * PAGE_BYTES, &i, sizeof(i)), 0);
}

static int call(const char *code, uint64_t a, uint64_t b, struct dune_ring3_end *end)
{
	uint64_t value;

	return dune_ring3_call(ring3_at(code), ring3_stack_top(), a, b, 0, &value, end);
}

/* The line that comes fast where all others do not; -1: none stands out. */
static int fast_line(void)
{
	uint32_t ticks[LEAK_LINES], least = ~0u, next = ~0u;
	int fastest = -1;

	CHECK_EQ(call(leak_reload, lines(), ticks_page(), NULL), 0);
	CHECK_EQ(dune_copy_from_user(ticks, ticks_page(), sizeof(ticks)), 0);
	for (int i = 0; i < LEAK_LINES; i++) {
		if (ticks[i] < least) {
			next = least;
			least = ticks[i];
			fastest = i;
		} else if (ticks[i] < next) {
			next = ticks[i];
		}
	}
	return least < next / 10 * 7 ? fastest : -1;
}

/* How many of the rounds find what ring 3 read with its own right. */
static unsigned control(void)
{
	unsigned found = 0;

	for (unsigned round = 0; round < CONTROL_ROUNDS; round++) {
		unsigned char byte = 37 * round | 1;

		CHECK_EQ(dune_copy_to_user(own_page(), &byte, 1), 0);
		CHECK_EQ(call(leak_flush, lines(), 0, NULL), 0);
		CHECK_EQ(call(leak_read, own_page(), lines(), NULL), 0);
		found += fast_line() == byte;
	}
	return found;
}

static bool leaks(unsigned offset)
{
	unsigned hits = 0;

	for (int i = 0; i < TRIES; i++) {
		struct dune_ring3_end end = { 0 };
		unsigned char byte;

		CHECK_EQ(call(leak_flush, lines(), 0, NULL), 0);
		byte = secret[offset]; /* into the cache, as a victim would */
		CHECK_EQ(call(leak_read, (uintptr_t)&secret[offset], lines(), &end), -EFAULT);
		CHECK_EQ(end.vector, PF);
		CHECK_EQ(end.error & 5, 5); /* present, user: the page is there, and not for it */
		CHECK_EQ(end.address, (uintptr_t)&secret[offset]);
		hits += fast_line() == byte;
	}
	return hits >= TRIES / 2;
}

static void by_flush_and_reload(void)
{
	unsigned nr_leaks = 0, works;

	prepare();
	CHECK_EQ(getrandom((void *)secret, SECRET_BYTES, 0), SECRET_BYTES);
	for (unsigned i = 0; i < SECRET_BYTES; i++)
		secret[i] |= 1; /* a zero is what CPUs give that do not leak */
	works = control();
	for (unsigned i = 0; i < SECRET_BYTES; i++)
		nr_leaks += leaks(i);
	harness_note("%u leaks of %u bytes; the method finds %u of %u permitted reads%s; host: %s",
		     nr_leaks, SECRET_BYTES, works, CONTROL_ROUNDS,
		     works < CONTROL_ROUNDS / 2 ? " (caches cannot be timed here)" : "", policy);
	TEST_REQUIRE(!nr_leaks || !(strstr(policy, "Vulnerable") || loaded_unsafe()),
		     "the host does without a defence against Meltdown");
	CHECK_EQ(nr_leaks, 0);
}

/* Where the guest's tables have nothing there is nothing to leak either. */
static void nor_do_the_hosts_addresses(void)
{
	static const uint64_t addresses[] = { 0xffff888000001000, 0xffffffff81000000,
					      0xfffffe0000000000, 0xffffc90000000000 };

	prepare();
	for (int i = 0; i < 4; i++)
		for (int turn = 0; turn < TRIES; turn++) {
			struct dune_ring3_end end = { 0 };

			CHECK_EQ(call(leak_flush, lines(), 0, NULL), 0);
			CHECK_EQ(call(leak_read, addresses[i], lines(), &end), -EFAULT);
			CHECK_EQ(end.vector, PF);
			CHECK_EQ(end.error & 5, 4); /* not present */
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(by_flush_and_reload, 60),
		guest_test(nor_do_the_hosts_addresses),
	};

	return run_guest_tests(tests);
}
