// SPDX-License-Identifier: GPL-2.0-only
/* The C library does in ring 0 what it does outside. */
#define _GNU_SOURCE
#include "guest.h"

#include <asm/prctl.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

static void stdio(void)
{
	char text[200], *line = NULL;
	size_t bytes = 0;
	FILE *file;

	enter_dune();
	snprintf(text, sizeof(text), "%d %s %.3f %Lg", -5, "five", 2.5, 1e300L);
	CHECK(!strcmp(text, "-5 five 2.500 1e+300"));
	file = tmpfile();
	CHECK(file);
	for (int i = 0; i < 1000; i++)
		fprintf(file, "line %d\n", i);
	rewind(file);
	for (int i = 0; i < 1000; i++) {
		CHECK(getline(&line, &bytes, file) > 0);
		CHECK_EQ(atoi(line + 5), i);
	}
	fclose(file);
	free(line);
}

static void allocator(void)
{
	enum { NR = 200 };
	char *blocks[NR];

	enter_dune();
	for (int turn = 0; turn < 5; turn++) {
		for (int i = 0; i < NR; i++) {
			size_t bytes = 1ul << i % 20;

			blocks[i] = malloc(bytes);
			CHECK(blocks[i]);
			blocks[i][0] = i;
			blocks[i][bytes - 1] = i;
		}
		for (int i = 0; i < NR; i++)
			CHECK_EQ(blocks[i][(1ul << i % 20) - 1], (char)i);
		for (int i = 0; i < NR; i++)
			free(blocks[i]);
	}
}

static void files(void)
{
	char text[64];
	struct stat status;
	int fd, fds[2], entries = 0;
	struct iovec iov[2] = { { text, 3 }, { text + 3, 3 } };
	DIR *directory;

	enter_dune();
	fd = CHECK_OK(open("/proc/self/stat", O_RDONLY));
	CHECK(read(fd, text, sizeof(text)) > 0);
	CHECK_EQ(atoi(text), getpid());
	close(fd);
	CHECK_ERRNO(open("/does/not/exist", O_RDONLY), ENOENT);
	CHECK_ERRNO(read(-1, text, 1), EBADF);
	CHECK_OK(stat("/", &status));
	CHECK(S_ISDIR(status.st_mode));
	CHECK_OK(pipe(fds));
	CHECK_EQ(write(fds[1], "abcdef", 6), 6);
	CHECK_EQ(readv(fds[0], iov, 2), 6);
	CHECK(!memcmp(text, "abcdef", 6));
	directory = opendir("/proc/self/fd");
	CHECK(directory);
	while (readdir(directory))
		entries++;
	closedir(directory);
	CHECK(entries > 3);
}

static void clocks_in_the_vdso(void)
{
	struct timespec before, after, direct;
	struct dune_counts first, second;
	struct timeval day;
	unsigned cpu = -1, node = -1;

	enter_dune();
	CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &before));
	CHECK_EQ(dune_get_counts(&first), 0);
	for (int i = 0; i < 100; i++) {
		CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &after));
		CHECK(after.tv_sec > before.tv_sec || after.tv_nsec >= before.tv_nsec);
		before = after;
	}
	CHECK_EQ(dune_get_counts(&second), 0);
	if (second.hypercalls - first.hypercalls > 50)
		harness_note("clock_gettime() leaves the guest: no clock in the vDSO here");
	CHECK_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &direct), 0);
	CHECK(direct.tv_sec >= after.tv_sec && direct.tv_sec < after.tv_sec + 5);
	CHECK_OK(gettimeofday(&day, NULL));
	CHECK(labs(time(NULL) - day.tv_sec) <= 1);
	CHECK_OK(getcpu(&cpu, &node));
	CHECK(cpu < (unsigned)sysconf(_SC_NPROCESSORS_CONF));
}

static void getcpu_follows_the_thread(void)
{
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	enter_dune();
	for (int turn = 0; turn < 6; turn++) {
		harness_run_on(0, turn % nr_cpus);
		CHECK_EQ(sched_getcpu(), turn % nr_cpus);
	}
}

static void sleeping_and_polling(void)
{
	struct timespec before, after, wanted = { 0, 5000000 };
	struct pollfd none = { .fd = -1 };

	enter_dune();
	clock_gettime(CLOCK_MONOTONIC, &before);
	CHECK_OK(nanosleep(&wanted, NULL));
	CHECK_EQ(poll(&none, 1, 5), 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	CHECK((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >=
	      10000000);
}

static void sockets(void)
{
	int fds[2];
	char text[16] = { 0 };

	enter_dune();
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	CHECK_EQ(send(fds[0], "hello", 5, 0), 5);
	CHECK_EQ(recv(fds[1], text, sizeof(text), 0), 5);
	CHECK(!strcmp(text, "hello"));
}

static void floating_point(void)
{
	volatile double x = 2.0;
	volatile long double y = 3.0L;

	enter_dune();
	CHECK(fabs(sqrt(x) - 1.41421356237) < 1e-9);
	CHECK(x / 3 + y * 2 > 6.6);
	CHECK(strtod("1.5e3", NULL) == 1500.0);
}

static void six_arguments(void)
{
	char *page;

	enter_dune();
	page = (char *)dune_syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK((uintptr_t)page < -4095ul);
	*page = 1;
	CHECK_EQ(dune_syscall(SYS_munmap, (long)page, 4096, 0, 0, 0, 0), 0);
	CHECK_EQ(dune_syscall(SYS_close, -1, 0, 0, 0, 0, 0), -EBADF);
	CHECK_EQ(dune_syscall(100000, 0, 0, 0, 0, 0, 0), -ENOSYS);
	CHECK_EQ(syscall(100000), -1);
	CHECK_EQ(errno, ENOSYS);
}

static void bad_pointers_are_efault(void)
{
	enter_dune();
	CHECK_ERRNO(syscall(SYS_write, 1, 8, 1), EFAULT);
	CHECK_ERRNO(syscall(SYS_read, open("/dev/zero", O_RDONLY), 0xffff888000000000, 8), EFAULT);
}

static uint64_t read_fs(void)
{
	uint64_t base;

	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static void write_fs(uint64_t base)
{
	__asm__ volatile("wrfsbase %0" ::"r"(base) : "memory");
}

/* Ring 0 may change it without a system call. */
static void fs_is_what_it_is_now(void)
{
	uint64_t own, other, asked = 0;

	enter_dune();
	own = read_fs();
	other = own + 64;
	write_fs(other);
	dune_syscall(SYS_arch_prctl, ARCH_GET_FS, (long)&asked, 0, 0, 0, 0);
	write_fs(own);
	CHECK_EQ(asked, other);
	CHECK_OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &asked));
	CHECK_EQ(asked, own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(stdio),
		guest_test(allocator),
		guest_test(files),
		guest_test(clocks_in_the_vdso),
		guest_test(getcpu_follows_the_thread),
		guest_test(sleeping_and_polling),
		guest_test(sockets),
		guest_test(floating_point),
		guest_test(six_arguments),
		guest_test(bad_pointers_are_efault),
		guest_test(fs_is_what_it_is_now),
	};

	return run_guest_tests(tests);
}
