// SPDX-License-Identifier: GPL-2.0-only
/* What the threads of a fuzzer share, and the threads; see fuzzer.h. */
#define _GNU_SOURCE
#include "fuzzer.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

enum { PAGE = 4096, TICK_NANOSECONDS = 2000000 };

/* ---- Ticks ------------------------------------------------------------------------ */

static void tick(int signal)
{
	(void)signal;
}

void start_ticks(void)
{
	struct sigaction action = { .sa_handler = tick };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	struct itimerspec every = { { 0, TICK_NANOSECONDS }, { 0, TICK_NANOSECONDS } };
	timer_t timer;

	CHECK_OK(sigaction(SIGALRM, &action, NULL));
	event._sigev_un._tid = syscall(SYS_gettid);
	CHECK_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
	CHECK_OK(timer_settime(timer, 0, &every, NULL));
}

/* ---- The world ---------------------------------------------------------------------- */

static void add_other(struct world *world, int fd)
{
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		if (atomic_load(&world->objects[i].fd) != OBJECT_EMPTY || fd < 0)
			continue;
		fill_object(&world->objects[i], fd, KIND_OTHER, NULL, NULL);
		return;
	}
}

static void add_others(struct world *world)
{
	add_other(world, world->pipe[0]);
	add_other(world, open("/dev/null", O_RDWR | O_CLOEXEC));
	add_other(world, open("/dev/dune", O_PATH | O_CLOEXEC));
	add_other(world, memfd_create("kvm-vm", MFD_CLOEXEC));
	add_other(world, epoll_create1(EPOLL_CLOEXEC));
	add_other(world, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void find_kvm(struct world *world)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		return;
	world->kvm_vm = CHECK_OK(ioctl(kvm, KVM_CREATE_VM, 0));
	add_other(world, kvm);
	add_other(world, ioctl(world->kvm_vm, KVM_CREATE_VCPU, 0));
}

static void find_limits(struct world *world, bool any_code)
{
	int device = CHECK_OK(open("/dev/dune", O_RDWR | O_CLOEXEC));

	CHECK_OK(ioctl(device, DUNE_GET_CAPS, &world->limits.caps));
	close(device);
	world->limits.any_code = any_code;
}

/* Four pages for each thread, of which one is there; then the one that all share. */
static void map_scratch(struct world *world)
{
	size_t bytes = (4 * NR_THREADS + 1) * PAGE;
	int fd = memfd_create("scratch", MFD_CLOEXEC);

	world->scratch = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(world->scratch != MAP_FAILED);
	for (unsigned i = 0; i <= NR_THREADS; i++)
		CHECK_OK(mprotect(world->scratch + i * 4 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	CHECK_OK(ftruncate(fd, PAGE));
	world->readable = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	world->readable_alias = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(world->readable != MAP_FAILED && world->readable_alias != MAP_FAILED);
	close(fd);
}

static void make_world(struct world *world, bool any_code)
{
	for (unsigned i = 0; i < NR_OBJECTS; i++)
		atomic_init(&world->objects[i].fd, OBJECT_EMPTY);
	CHECK_OK(pipe2(world->pipe, O_CLOEXEC | O_NONBLOCK));
	map_scratch(world);
	for (unsigned i = 0; i < NR_THREADS; i++)
		map_guest_memory(world, i);
	find_limits(world, any_code);
	world->kvm_vm = -1;
	world->kvm_loaded = !access("/dev/kvm", F_OK);
	world->stranger = stranger_start(world);
	find_kvm(world);
	add_others(world);
}

/* ---- Threads --------------------------------------------------------------------------- */

static void *run_thread(void *argument)
{
	struct fuzzer *fuzzer = argument;

	start_ticks();
	/* With and without: the module saves what is in use, and only that. */
	if (fuzzer->world->exact && fuzzer->world->seed % 2)
		host_watch_begin();
	while (fuzzer->step < fuzzer->world->steps)
		fuzzer_step(fuzzer);
	return NULL;
}

static void remark(const struct world *world, const struct fuzzer *fuzzers)
{
	uint64_t runs = 0, exits[DUNE_EXIT_UNKNOWN + 1] = { 0 };

	for (unsigned i = 0; i < world->nr_threads; i++) {
		runs += fuzzers[i].runs;
		for (unsigned reason = 0; reason <= DUNE_EXIT_UNKNOWN; reason++)
			exits[reason] += fuzzers[i].exits[reason];
	}
	harness_note(
		"seed %llu, %u thread(s) of %llu steps; %llu runs: %llu hypercalls, %llu interrupted, %llu bad accesses, %llu triple faults",
		(unsigned long long)world->seed, world->nr_threads,
		(unsigned long long)world->steps, (unsigned long long)runs,
		(unsigned long long)exits[DUNE_EXIT_HYPERCALL],
		(unsigned long long)exits[DUNE_EXIT_INTR],
		(unsigned long long)exits[DUNE_EXIT_MEMORY],
		(unsigned long long)exits[DUNE_EXIT_SHUTDOWN]);
}

void world_run(uint64_t seed, uint64_t steps, unsigned nr_threads, bool any_code)
{
	static struct world world;
	static struct fuzzer fuzzers[NR_THREADS];
	pthread_t threads[NR_THREADS];

	world.seed = seed;
	world.steps = steps;
	world.nr_threads = nr_threads;
	world.exact = nr_threads == 1;
	make_world(&world, any_code);
	for (unsigned i = 0; i < nr_threads; i++) {
		fuzzers[i].world = &world;
		fuzzers[i].thread = i;
		fuzzers[i].memory = &world.memory[i];
	}
	for (unsigned i = 1; i < nr_threads; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, run_thread, &fuzzers[i]), 0);
	run_thread(&fuzzers[0]);
	for (unsigned i = 1; i < nr_threads; i++)
		pthread_join(threads[i], NULL);
	remark(&world, fuzzers);
}
