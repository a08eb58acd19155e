// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each pointer of each system call in the table is given addresses of the sandbox itself: the call
 * fails, nothing is read from there, nothing is written there. The table is the sandbox's own, so no
 * row can be forgotten.
 *
 * The sandbox's environment is the canary: the program in the sandbox learns where it lies from
 * /proc/self/stat, and outside it can be read from /proc/PID/environ while that program waits.
 */
#include "rows.h"
#include "sandboxed.h"
#include "syscall.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <asm/prctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#define CANARY_BYTES 60000
#define PAGE_BYTES   ROW_PAGE_BYTES

/* ---- Inside: what the attacks need ---------------------------------------- */

static char *page; /* of the program's own, for what is not under attack */
static long zero;  /* a descriptor with something to read, and room to write */

/* Field 50 of /proc/self/stat: where the environment of the process begins, which is the sandbox's. */
static uint64_t canary_address(void)
{
	char text[1024] = "", *field;
	int fd = open("/proc/self/stat", O_RDONLY);

	CHECK(fd >= 0);
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	field = strrchr(text, ')');
	for (int i = 2; field && i < 50; i++)
		field = strchr(field + 1, ' ');
	CHECK(field);
	return strtoul(field + 1, NULL, 10) + CANARY_BYTES / 2;
}

static void set_up_attack(void)
{
	page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED);
	zero = open("/dev/zero", O_RDWR);
	CHECK(zero >= 0);
}

/* The parent looks at the canary now. */
static void wait_for_parent(void)
{
	char byte;

	CHECK(write(STDOUT_FILENO, ".", 1) == 1);
	CHECK(read(STDIN_FILENO, &byte, 1) == 1);
}

static int is_attacked(const struct sandbox_row *row)
{
	return row && row->action != ACTION_DENY && !row->does_not_return;
}

/* The call of this row with one argument like this. */
static long attack_argument(unsigned nr, int argument, uint64_t bad)
{
	uint64_t args[SANDBOX_NR_ARGS];

	row_fill(sandbox_table_row(nr), (uint64_t)page, zero, args);
	args[argument] = bad;
	return RAW(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
}

/* Each pointer that the table knows, at this address: how many there were. */
static unsigned attack_table(uint64_t bad)
{
	unsigned tried = 0;

	for (unsigned nr = 0; nr < sandbox_table_size(); nr++) {
		const struct sandbox_row *row = sandbox_table_row(nr);

		for (int i = 0; is_attacked(row) && i < SANDBOX_NR_ARGS; i++) {
			long result;

			if (!row_is_pointer(&row->arg[i]))
				continue;
			result = attack_argument(nr, i, bad);
			if (result != -EFAULT)
				FAIL("%s: argument %d at %#lx: %ld", row->name, i, bad, result);
			tried++;
		}
	}
	return tried;
}

static void each_pointer_of_the_table(void)
{
	unsigned tried;

	set_up_attack();
	tried = attack_table(canary_address());
	CHECK(tried > 150);
	wait_for_parent();
}

/* One address in each mapping that is the sandbox's, read-only ones too: nothing is read there. */
static void each_mapping_of_the_runtime(void)
{
	static struct mapping mappings[256];
	size_t count = read_mappings(mappings, 256);
	unsigned tried = 0;

	set_up_attack();
	for (size_t i = 0; i < count; i++) {
		if (!is_of_runtime(&mappings[i]))
			continue;
		attack_table(mappings[i].start);
		attack_table(mappings[i].end - 64);
		tried++;
	}
	CHECK(tried > 10);
	wait_for_parent();
}

/* Addresses that wrap, of the kernel, and of nothing. */
static void addresses_beyond(void)
{
	set_up_attack();
	attack_table(-1ul);
	attack_table(-4096ul);
	attack_table(0xffff888000000000);
	attack_table(0xffffffffff600000); /* the vsyscall page */
	attack_table((1ul << 47) - 1);
	attack_table(1ul << 47);
	attack_table(8);
	wait_for_parent();
}

/* ---- Inside: pointers that only an emulate_ function knows ---------------------- */

/* What an ARG_ADDRESS must give where it is not -EFAULT; those of memory calls have a test of their own. */
static const struct {
	long nr;
	int argument;
	long expected;
} exceptions[] = {
	{ SYS_clone, 1, -EPERM }, /* by its flags, below */
	{ SYS_clone, 2, -EPERM },
	{ SYS_clone, 3, -EPERM },
	{ SYS_clone, 4, -EPERM },
	{ SYS_clone3, 0, -ENOSYS },
	{ SYS_execveat, 2, -EINVAL }, /* likewise */
	{ SYS_execveat, 3, -EINVAL },
	{ SYS_arch_prctl, 1, -EINVAL }, /* by its number, below */
	{ SYS_ioctl, 2, -ENOTTY },	/* by their request, below */
	{ SYS_set_robust_list, 0, -EINVAL },
	{ SYS_futex, 3, -ENOSYS }, /* by their operation, below */
	{ SYS_futex, 4, -ENOSYS },
	{ SYS_openat2, 2, -E2BIG }, /* 64 is not the size of struct open_how; below */
	{ SYS_mmap, 0, 0 },
	{ SYS_mremap, 0, 0 },
	{ SYS_mremap, 4, 0 },
	{ SYS_brk, 0, 0 },
	{ SYS_munmap, 0, 0 },
	{ SYS_mprotect, 0, 0 },
	{ SYS_madvise, 0, 0 },
	{ SYS_msync, 0, 0 },
	{ SYS_mlock, 0, 0 },
	{ SYS_munlock, 0, 0 },
	{ SYS_mincore, 0, 0 },
	{ SYS_mincore, 2, 0 },
	{ SYS_set_tid_address, 0, 0 }, /* not looked at, ever */
};

/* 0: not to be tried here. */
static long expected_result(long nr, int argument)
{
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++)
		if (exceptions[i].nr == nr && exceptions[i].argument == argument)
			return exceptions[i].expected;
	return -EFAULT;
}

static void each_address_of_the_table(void)
{
	uint64_t bad = canary_address();

	set_up_attack();
	for (unsigned nr = 0; nr < sandbox_table_size(); nr++) {
		const struct sandbox_row *row = sandbox_table_row(nr);

		for (int i = 0; is_attacked(row) && i < SANDBOX_NR_ARGS; i++) {
			long expected = expected_result(nr, i), result;

			if (row->arg[i].kind != ARG_ADDRESS || !expected)
				continue;
			result = attack_argument(nr, i, bad);
			if (result != expected)
				FAIL("%s: argument %d: %ld", row->name, i, result);
		}
	}
	CHECK(RAW(SYS_set_tid_address, bad) == RAW(SYS_gettid));
	CHECK_EQ(RAW(SYS_set_robust_list, bad, 24), 0); /* never followed */
	wait_for_parent();
}

static void pointers_by_request(void)
{
	const long requests[] = { 0x5401 /* TCGETS */, 0x5402,	  0x5403,   0x5404,
				  TIOCGWINSZ,	       TIOCGPGRP, FIONREAD, FIONBIO };
	uint64_t bad = canary_address();
	long how_bytes = 24;

	set_up_attack();
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		CHECK_EQ(RAW(SYS_ioctl, zero, requests[i], bad), -EFAULT);
	for (int command = 0; command < 1100; command++) {
		long result = RAW(SYS_fcntl, zero, command, bad);

		if (command == F_GETLK || command == F_SETLK || command == F_SETLKW ||
		    (command >= F_OFD_GETLK && command <= F_OFD_SETLKW))
			CHECK_EQ(result, -EFAULT);
	}
	for (int option = 0; option < 100; option++)
		RAW(SYS_prctl, option, bad, bad, bad, bad);
	CHECK_EQ(RAW(SYS_prctl, PR_GET_NAME, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_prctl, PR_SET_NAME, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_arch_prctl, ARCH_GET_FS, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_arch_prctl, ARCH_SET_FS, bad), -EPERM);
	CHECK_EQ(RAW(SYS_arch_prctl, ARCH_SET_FS, 1l << 63), -EPERM);
	CHECK_EQ(RAW(SYS_arch_prctl, ARCH_GET_GS, bad), -EPERM);
	CHECK_EQ(RAW(SYS_arch_prctl, ARCH_SET_GS, bad), -EPERM);
	CHECK_EQ(RAW(SYS_openat2, AT_FDCWD, "/etc/passwd", bad, how_bytes), -EFAULT);
	CHECK_EQ(RAW(SYS_futex, page, FUTEX_WAIT, 0, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_futex, page, FUTEX_REQUEUE, 1, 1, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_futex, page, FUTEX_WAKE_OP, 1, 1, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_futex, bad, FUTEX_WAKE, 1), -EFAULT);
	CHECK_EQ(RAW(SYS_mincore, page, PAGE_BYTES, bad), -EFAULT);
	CHECK_EQ(RAW(SYS_clone, CLONE_PARENT_SETTID | SIGCHLD, 0, bad, 0, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_clone, CLONE_CHILD_SETTID | SIGCHLD, 0, 0, bad, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_execveat, AT_FDCWD, "/bin/true", bad, 0, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_execveat, AT_FDCWD, "/bin/true", 0, bad, 0), -EFAULT);
	((uint64_t *)page)[0] = bad; /* a string of argv */
	((uint64_t *)page)[1] = 0;
	CHECK_EQ(RAW(SYS_execve, "/bin/true", page, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_execve, "/bin/true", 0, page), -EFAULT);
	wait_for_parent();
}

/* ---- Inside: structures that point on ---------------------------------------- */

static void structures_that_point_on(void)
{
	uint64_t bad = canary_address();
	struct iovec vector[2];
	struct msghdr message = { .msg_iov = vector, .msg_iovlen = 1 };
	uint64_t mask[2] = { bad, 8 };
	int ends[2];

	set_up_attack();
	vector[0] = (struct iovec){ page, 8 };
	vector[1] = (struct iovec){ (void *)bad, 8 };
	CHECK_EQ(RAW(SYS_readv, zero, vector, 1), 8);
	CHECK_EQ(RAW(SYS_readv, zero, vector, 2), -EFAULT);
	CHECK_EQ(RAW(SYS_writev, zero, vector, 2), -EFAULT);
	CHECK_EQ(RAW(SYS_preadv, zero, vector, 2, 0, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_pwritev2, zero, vector, 2, 0, 0, 0), -EFAULT);

	CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	CHECK_EQ(RAW(SYS_sendmsg, ends[0], &message, 0), 8);
	vector[0].iov_base = (void *)bad;
	CHECK_EQ(RAW(SYS_recvmsg, ends[1], &message, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_sendmsg, ends[0], &message, 0), -EFAULT);
	vector[0].iov_base = page;
	message.msg_name = (void *)bad;
	message.msg_namelen = 16;
	CHECK_EQ(RAW(SYS_recvmsg, ends[1], &message, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_sendmsg, ends[0], &message, 0), -EFAULT);
	message.msg_name = NULL;
	message.msg_iov = (void *)bad;
	CHECK_EQ(RAW(SYS_recvmsg, ends[1], &message, 0), -EFAULT);
	message.msg_iov = vector;
	message.msg_control = (void *)bad;
	message.msg_controllen = 64;
	CHECK_EQ(RAW(SYS_sendmsg, ends[0], &message, 0), -EPERM);
	CHECK_EQ(RAW(SYS_recvmsg, ends[1], &message, 0), 8); /* without control data */

	CHECK_EQ(RAW(SYS_pselect6, 0, 0, 0, 0, 0, mask), -EFAULT);
	mask[0] = bad;
	((uint64_t *)page)[0] = bad; /* sigaltstack: { stack, flags, bytes } */
	((uint64_t *)page)[1] = 0;
	((uint64_t *)page)[2] = 8192;
	CHECK_EQ(RAW(SYS_sigaltstack, page, 0), -EPERM);
	wait_for_parent();
}

static void lengths_and_counts(void)
{
	struct iovec vector[2] = { { NULL, 0 }, { NULL, 0 } };
	uint64_t bad = canary_address(), own;

	set_up_attack();
	own = (uint64_t)page;
	CHECK_EQ(RAW(SYS_write, zero, own, SIZE_MAX), -EFAULT);
	CHECK_EQ(RAW(SYS_write, zero, own, -own), -EFAULT);
	CHECK_EQ(RAW(SYS_write, zero, own, -own + bad), -EFAULT);
	CHECK_EQ(RAW(SYS_read, zero, own, bad - own + 64), -EFAULT);
	CHECK_EQ(RAW(SYS_getrandom, own, SIZE_MAX, 0), -EFAULT); /* Linux would write some */
	CHECK_EQ(RAW(SYS_read, zero, bad, 0), 0); /* as in Linux: nothing is looked at */
	CHECK_EQ(RAW(SYS_poll, own, -1, 0), -EFAULT);
	CHECK_EQ(RAW(SYS_getgroups, INT32_MAX, own), -EFAULT);
	vector[0] = (struct iovec){ page, 8 };
	CHECK_EQ(RAW(SYS_writev, zero, vector, 0), 0);
	CHECK_EQ(RAW(SYS_writev, zero, vector, -1), -EINVAL);
	CHECK_EQ(RAW(SYS_writev, zero, vector, 1025), -EINVAL);
	CHECK_EQ(RAW(SYS_writev, zero, vector, 1l << 60), -EINVAL);
	vector[1] = (struct iovec){ page, SIZE_MAX };
	CHECK_EQ(RAW(SYS_writev, zero, vector, 2), -EINVAL);
	vector[0].iov_len = vector[1].iov_len = 1ul << 62; /* their sum overflows */
	CHECK(RAW(SYS_writev, zero, vector, 2) < 0);
	wait_for_parent();
}

/* ---- Outside ---------------------------------------------------------------- */

static pid_t start_attack(const char *name, const char *canary, int *to, int *from)
{
	char *const environment[] = { (char *)canary, "PATH=/dune/bin:/usr/bin:/bin", NULL };
	int input[2], output[2];
	pid_t child;

	assert_int_equal(pipe2(input, O_CLOEXEC), 0);
	assert_int_equal(pipe2(output, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		dup2(input[0], STDIN_FILENO);
		dup2(output[1], STDOUT_FILENO);
		alarm(100);
		execvpe("dune-sandbox",
			(char *const[]){ "dune-sandbox", (char *)own_path(), INSIDE, (char *)name,
					 NULL },
			environment);
		_exit(127);
	}
	close(input[0]);
	close(output[1]);
	*to = input[1];
	*from = output[0];
	return child;
}

static void check_canary(pid_t child, const char *canary)
{
	static char now[CANARY_BYTES + 1];
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", child);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, now, CANARY_BYTES), CANARY_BYTES);
	close(fd);
	assert_memory_equal(now, canary, CANARY_BYTES);
}

static void canary_lives(void **state)
{
	static char canary[CANARY_BYTES];
	int to, from, status;
	char byte = 0;
	pid_t child;

	memset(canary, 'Z', CANARY_BYTES - 1);
	memcpy(canary, "CANARY=", 7);
	child = start_attack(*state, canary, &to, &from);
	if (read(from, &byte, 1) == 1 && byte == '.') {
		check_canary(child, canary);
		assert_int_equal(write(to, "", 1), 1);
	}
	close(to);
	close(from);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(byte, '.'); /* else it said on stderr what was wrong */
	assert_int_equal(status, 0);
}

static const struct inside_case cases[] = {
	inside_case(each_pointer_of_the_table), inside_case(each_mapping_of_the_runtime),
	inside_case(addresses_beyond),		inside_case(each_address_of_the_table),
	inside_case(pointers_by_request),	inside_case(structures_that_point_on),
	inside_case(lengths_and_counts),	{ 0 },
};

#define canary_test(function)                                                                    \
	{                                                                                        \
		.name = #function, .test_func = canary_lives, .initial_state = (void *)#function \
	}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		canary_test(each_pointer_of_the_table), canary_test(each_mapping_of_the_runtime),
		canary_test(addresses_beyond),		canary_test(each_address_of_the_table),
		canary_test(pointers_by_request),	canary_test(structures_that_point_on),
		canary_test(lengths_and_counts),
	};

	inside_main(argc, argv, cases);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
