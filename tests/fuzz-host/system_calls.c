// SPDX-License-Identifier: GPL-2.0-only
/*
 * System calls of ring 3, one after the other: whatever their arguments are, what is forwarded to
 * the host names ring 3's memory, or the sandbox's own copy of the arguments, and nothing else.
 *
 * The host is made up here. Only calls on memory are really made; all others return what the
 * input says.
 */
#include "target.h"
#include "fake_dune.h"
#include "layout.h"
#include "sandbox.h"
#include "syscall.h"

#include <dune.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, MAX_CALLS = 24, FIRST_MADE_UP_FD = 500 };

static uint64_t arena;
static char canary[2 * PAGE];

/* The rest of the input. */
static const uint8_t *input, *input_end;

static uint64_t take(size_t bytes)
{
	uint64_t value = 0;

	if ((size_t)(input_end - input) < bytes)
		bytes = input_end - input;
	memcpy(&value, input, bytes);
	input += bytes;
	return value;
}

/* ---- The host ------------------------------------------------------------------------- */

static bool is_ring3(uint64_t address, uint64_t bytes)
{
	return !bytes || dune_arena_contains(address, bytes);
}

static bool is_copy(uint64_t address, uint64_t bytes)
{
	uint64_t start = (uint64_t)&box->call;

	return address >= start && bytes <= sizeof(box->call) &&
	       address - start <= sizeof(box->call) - bytes;
}

static uint64_t count_of(const struct sandbox_arg *row, const uint64_t *argument)
{
	return row->count ? argument[row->count - 1] : 1;
}

static void check_iovecs(uint64_t address, uint64_t count)
{
	const struct iovec *iovec = (const struct iovec *)address;

	MUST(count <= SANDBOX_MAX_IOVEC && is_copy(address, count * sizeof(*iovec)));
	for (uint64_t i = 0; i < count; i++)
		MUST(is_ring3((uint64_t)iovec[i].iov_base, iovec[i].iov_len));
}

/* An argument as it is forwarded, by its row. */
static void check_argument(const struct sandbox_arg *row, uint64_t value, const uint64_t *argument)
{
	const uint32_t *size;
	uint64_t bytes;

	if (row->optional && !value)
		return;
	switch ((enum sandbox_arg_kind)row->kind) {
	case ARG_NONE:
		MUST(!value);
		break;
	case ARG_STRING:
		MUST(is_copy(value, 1) && memchr((char *)value, 0, PATH_MAX));
		break;
	case ARG_IN:
	case ARG_OUT:
	case ARG_INOUT:
		MUST(!__builtin_mul_overflow(count_of(row, argument), row->bytes, &bytes));
		MUST(is_ring3(value, bytes));
		break;
	case ARG_IN_IOVEC:
	case ARG_OUT_IOVEC:
		check_iovecs(value, count_of(row, argument));
		break;
	case ARG_OUT_SIZED:
		size = (const uint32_t *)argument[row->count - 1];
		MUST(!size || is_ring3(value, *size)); /* without one the kernel refuses */
		break;
	case ARG_SIZE:
		MUST(is_copy(value, sizeof(uint32_t)));
		break;
	default:
		break;
	}
}

static void check_message(const struct msghdr *header)
{
	MUST(is_ring3((uint64_t)header->msg_name, header->msg_namelen) ||
	     is_copy((uint64_t)header->msg_name, header->msg_namelen));
	check_iovecs((uint64_t)header->msg_iov, header->msg_iovlen);
}

/* What is waited for: hidden descriptors are taken out of copies. */
static void check_readiness(long nr, const uint64_t *argument)
{
	if (nr == SYS_poll || nr == SYS_ppoll)
		MUST(is_copy(argument[0], argument[1] * sizeof(struct pollfd)));
	for (int i = 1; (nr == SYS_select || nr == SYS_pselect6) && i <= 3; i++)
		MUST(!argument[i] || is_copy(argument[i], (argument[0] + 63) / 64 * 8));
}

static bool changes_memory(long nr)
{
	return nr == SYS_mmap || nr == SYS_munmap || nr == SYS_mprotect || nr == SYS_mremap ||
	       nr == SYS_madvise || nr == SYS_msync || nr == SYS_mlock || nr == SYS_mlock2 ||
	       nr == SYS_munlock || nr == SYS_mincore;
}

static long make_memory_call(long nr, const uint64_t *argument)
{
	long result;

	MUST(is_ring3(argument[0], argument[1]));
	if (nr == SYS_mmap) {
		MUST(argument[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE));
		if (!(argument[3] & MAP_ANONYMOUS))
			return -ENODEV; /* descriptors are made up */
	}
	if (nr == SYS_mremap) {
		MUST(!(argument[3] & MREMAP_FIXED) || is_ring3(argument[4], argument[2]));
		MUST(is_ring3(argument[0], argument[2]) || argument[3] & MREMAP_FIXED);
	}
	if (nr == SYS_madvise || nr == SYS_mlock || nr == SYS_mlock2)
		return 0;
	if (nr == SYS_mincore)
		MUST(is_ring3(argument[2], (argument[1] + PAGE - 1) / PAGE));
	result = syscall(nr, argument[0], argument[1], argument[2], argument[3], argument[4],
			 argument[5]);
	return result == -1 ? -errno : result;
}

static long make_up(void)
{
	uint8_t what = take(1);

	return what < 128 ? what % 64 : -(long)(what % 40 + 1);
}

long dune_syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	const uint64_t argument[] = { a, b, c, d, e, f };
	const struct sandbox_row *row = box->call.row;

	if (changes_memory(nr))
		return make_memory_call(nr, argument);
	if (nr == SYS_sendmsg || nr == SYS_recvmsg) {
		check_message((const struct msghdr *)b);
		return make_up();
	}
	check_readiness(nr, argument);
	/* Calls that an emulate_ function makes of its own are not the row's. */
	if (nr == box->call.nr && row && !row->emulate)
		for (int i = 0; i < SANDBOX_NR_ARGS; i++)
			check_argument(&row->arg[i], argument[i], argument);
	if (nr == SYS_openat || nr == SYS_openat2 || nr == SYS_open) {
		MUST(!is_ring3(b, 1)); /* judged and used from a copy */
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	if (nr == SYS_execve || nr == SYS_clone)
		return -EAGAIN;
	return make_up();
}

/* libc's own, where ring 0 stops or looks at its process. */
int kill(pid_t pid, int signal)
{
	(void)pid;
	(void)signal;
	return 0;
}

/* ---- Ring 3 ------------------------------------------------------------------------------ */

static uint64_t take_argument(void)
{
	uint8_t how = take(1);

	switch (how % 10) {
	case 0:
		return 0;
	case 1:
		return how / 10;
	case 2:
		return page + take(2) % (2 * PAGE);
	case 3:
		return arena + (take(3) << 6);
	case 4:
		return arena + 4 * DUNE_ARENA_BYTES - take(1);
	case 5:
		return (uint64_t)canary + take(2) % sizeof(canary);
	case 6:
		return (int32_t)take(4);
	case 7:
		return take(1) * PAGE;
	case 8:
		return page + 8 * take(1);
	default:
		return take(8);
	}
}

/* Structures that point to each other, and the input's own bytes. */
static void fill_page(void)
{
	uint64_t *words = (uint64_t *)page;

	for (int i = 0; i < PAGE / 8; i++)
		words[i] = i % 2 ? (unsigned)i % 128 : page + i * 8;
	for (unsigned i = take(1) % 16; i; i--) {
		unsigned at = take(1);

		words[at] = take_argument();
	}
}

static void make_call(void)
{
	uint64_t argument[SANDBOX_NR_ARGS], nr = take(2) % (sandbox_table_size() + 8);
	const struct sandbox_row *row = sandbox_table_row(nr);

	for (int i = 0; i < SANDBOX_NR_ARGS; i++)
		argument[i] = take_argument();
	if (row && row->does_not_return)
		return;
	/* The page may be gone by now, or read-only. */
	if (mincore((void *)page, PAGE, (unsigned char *)canary) == 0 && take(1) % 4 == 0 &&
	    !mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE))
		fill_page();
	memset(canary, 0x5a, sizeof(canary));
	fake_syscall(box, nr, argument);
	for (size_t i = 0; i < sizeof(canary); i++)
		MUST(canary[i] == 0x5a);
}

/* A sandbox as new. */
static void begin(void)
{
	if (!box) {
		void *start;

		box = calloc(1, sizeof(*box));
		MUST(box && !dune_arena_create(0, 4 * DUNE_ARENA_BYTES, 0, &start));
		arena = (uint64_t)start;
	}
	sandbox_ranges_destroy(&box->memory.used);
	memset(box, 0, sizeof(*box));
	box->trace_fd = -1;
	box->count = true;
	MUST(mmap((void *)arena, 4 * DUNE_ARENA_BYTES, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == (void *)arena);
	sandbox_layout_add_main(&box->memory, arena, 4 * DUNE_ARENA_BYTES);
	page = fake_syscall(box, SYS_mmap,
			    (uint64_t[]){ 0, 2 * PAGE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0 });
	MUST(is_ring3(page, 2 * PAGE));
	fill_page();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	input = data;
	input_end = data + bytes;
	begin();
	for (unsigned i = 0; i < MAX_CALLS && input < input_end; i++)
		make_call();
	return 0;
}
