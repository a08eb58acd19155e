// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vcpu runs in one thread at a time and only for the process that made it;
 * signals bring it back, and it goes on where it was.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>

static struct raw raw;
static long thread_result;
static pthread_t runner;
static volatile sig_atomic_t stop;

static void stop_running(int signal)
{
	(void)signal;
	stop = 1;
}

/* Scheduling ends a run, too. */
static void *run_until_a_signal(void *unused)
{
	do
		thread_result = lseek(raw.vcpu, 0, SEEK_SET);
	while (thread_result == DUNE_EXIT_INTR && !stop);
	return unused;
}

static volatile uint64_t *spin_counter(void)
{
	return (volatile uint64_t *)(raw.memory + RAW_DATA);
}

/* A thread that is inside, at raw_spin. */
static void start_runner(void)
{
	struct sigaction action = { .sa_handler = stop_running };

	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	raw_create(&raw);
	raw_load(&raw, raw_spin, RAW_DATA, 0);
	CHECK_EQ(pthread_create(&runner, NULL, run_until_a_signal, NULL), 0);
	while (!*spin_counter())
		sched_yield();
}

static void stop_runner(void)
{
	pthread_kill(runner, SIGUSR1);
	CHECK_EQ(pthread_join(runner, NULL), 0);
	CHECK_EQ(thread_result, DUNE_EXIT_INTR);
	stop = 0;
}

/*
 * On one CPU the runner may have left the guest when this thread gets to run,
 * and is then not busy: look for the moment when it is.
 */
static void is_busy_while_it_runs(void)
{
	struct dune_state state = { .groups = DUNE_STATE_REGS };

	TEST_REQUIRE(sysconf(_SC_NPROCESSORS_ONLN) > 1, "needs two CPUs");
	start_runner();
	for (int i = 0; i < 1000 && !ioctl(raw.vcpu, DUNE_GET_STATE, &state); i++)
		sched_yield();
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_GET_STATE, &state), EBUSY);
	CHECK_ERRNO(lseek(raw.vcpu, 0, SEEK_SET), EBUSY);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_RUN, 0), EBUSY);
	state = raw_state(&raw);
	CHECK_ERRNO(ioctl(raw.vcpu, DUNE_SET_STATE, &state), EBUSY);
	stop_runner();
	state.groups = DUNE_STATE_REGS;
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &state));
	CHECK(state.rip >= RAW_CODE && state.rip < RAW_CODE + 64);
}

static void another_thread_may_run_it_later(void)
{
	uint64_t before;

	start_runner();
	stop_runner();
	before = *spin_counter();
	CHECK_EQ(pthread_create(&runner, NULL, run_until_a_signal, NULL), 0);
	while (*spin_counter() == before)
		sched_yield();
	stop_runner();
	CHECK(*spin_counter() > before);
}

static void not_in_a_fork_child(void)
{
	struct dune_state state = { .groups = DUNE_STATE_ALL };
	struct dune_caps caps;
	struct dune_stats stats;
	struct dune_tile tile = { 0 };
	pid_t child;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	state = raw_state(&raw);
	child = harness_fork();
	if (!child) {
		CHECK_ERRNO(lseek(raw.vcpu, 0, SEEK_SET), ESTALE);
		CHECK_ERRNO(ioctl(raw.vcpu, DUNE_RUN, 0), ESTALE);
		CHECK_ERRNO(ioctl(raw.vcpu, DUNE_GET_STATE, &state), ESTALE);
		CHECK_ERRNO(ioctl(raw.vcpu, DUNE_SET_STATE, &state), ESTALE);
		CHECK_ERRNO(ioctl(raw.vcpu, DUNE_GET_STATS, &stats), ESTALE);
		CHECK_ERRNO(ioctl(raw.device, DUNE_GET_CAPS, &caps), ESTALE);
		CHECK_ERRNO(ioctl(raw.device, DUNE_SET_TILE, &tile), ESTALE);
		CHECK_ERRNO(ioctl(raw.device, DUNE_CREATE_VCPU, 0), ESTALE);
		CHECK_ERRNO(ioctl(raw.device, DUNE_FLUSH_TLB, 0), ESTALE);
		CHECK_ERRNO(ioctl(raw.device, DUNE_GET_STATS, &stats), ESTALE);
		_exit(0);
	}
	JOIN(child);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
}

static void send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	CHECK_OK(sendmsg(socket, &message, 0));
}

static int receive_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	int fd;

	CHECK_OK(recvmsg(socket, &message, 0));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

static void not_by_a_passed_descriptor(void)
{
	int sockets[2];
	char byte = 0;
	pid_t child;

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	child = harness_fork(); /* before: it inherits nothing */
	if (!child) {
		int vcpu, device;

		close(sockets[0]);
		vcpu = receive_fd(sockets[1]);
		device = receive_fd(sockets[1]);
		CHECK_ERRNO(lseek(vcpu, 0, SEEK_SET), ESTALE);
		CHECK_ERRNO(ioctl(device, DUNE_CREATE_VCPU, 0), ESTALE);
		CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, vcpu, 0) == MAP_FAILED);
		/* And once its owner has closed it. */
		CHECK_OK(write(sockets[1], &byte, 1));
		CHECK_EQ(read(sockets[1], &byte, 1), 0);
		CHECK_ERRNO(lseek(vcpu, 0, SEEK_SET), ESTALE);
		_exit(0);
	}
	close(sockets[1]);
	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	send_fd(sockets[0], raw.vcpu);
	send_fd(sockets[0], raw.device);
	CHECK_OK(read(sockets[0], &byte, 1));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	close(raw.vcpu);
	close(raw.device);
	close(sockets[0]);
	JOIN(child);
}

static void two_vcpus_have_two_states(void)
{
	struct dune_run *run;
	struct dune_state state;
	int vcpu;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	vcpu = raw_create_vcpu(&raw, &run);
	state = raw_state(&raw);
	state.gpr[DUNE_RBX] = 1000;
	raw_set_state(vcpu, &state);
	for (uint64_t i = 1; i <= 50; i++) {
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw_run_vcpu(vcpu), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.run->gpr[DUNE_RBX], i);
		CHECK_EQ(run->gpr[DUNE_RBX], 1000 + i);
	}
}

static void two_vms_have_two_memories(void)
{
	struct raw other;

	raw_create(&raw);
	raw_create(&other);
	raw.memory[RAW_DATA] = 1;
	other.memory[RAW_DATA] = 2;
	raw_load(&raw, raw_read, RAW_DATA, 0);
	raw_load(&other, raw_read, RAW_DATA, 0);
	for (int i = 0; i < 50; i++) {
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw_run(&other), DUNE_EXIT_HYPERCALL);
		CHECK_EQ(raw.run->gpr[DUNE_RAX] & 0xff, 1);
		CHECK_EQ(other.run->gpr[DUNE_RAX] & 0xff, 2);
	}
}

static void a_blocked_signal_waits(void)
{
	struct sigaction action = { .sa_handler = stop_running };
	sigset_t mask;

	CHECK_OK(sigaction(SIGUSR1, &action, NULL));
	raw_create(&raw);
	/* Pending but blocked, it must not keep the guest from running. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	raise(SIGUSR1);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

static volatile sig_atomic_t ticks;

static void tick(int signal)
{
	(void)signal;
	ticks++;
}

static void signals_bring_it_back(void)
{
	struct sigaction action = { .sa_handler = tick };
	struct itimerval timer = { { 0, 3000 }, { 0, 3000 } };
	uint64_t last = 0;

	CHECK_OK(sigaction(SIGALRM, &action, NULL));
	raw_create(&raw);
	raw_load(&raw, raw_spin, RAW_DATA, 0);
	CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
	for (int i = 0; i < 10; i++) {
		int before = ticks;

		do
			CHECK_EQ(lseek(raw.vcpu, 0, SEEK_SET), DUNE_EXIT_INTR);
		while (ticks == before);
		CHECK(*spin_counter() >= last);
		last = *spin_counter();
	}
	CHECK(last > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(is_busy_while_it_runs),     guest_test(another_thread_may_run_it_later),
		guest_test(not_in_a_fork_child),       guest_test(not_by_a_passed_descriptor),
		guest_test(two_vcpus_have_two_states), guest_test(two_vms_have_two_memories),
		guest_test(a_blocked_signal_waits),    guest_test(signals_bring_it_back),
	};

	return run_guest_tests(tests);
}
