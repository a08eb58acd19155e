/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A random caller of /dev/dune. Each step draws one call (calls.c) with random
 * arguments (arguments.c) on a random object (objects.c), often a guest's run
 * (random_guest.c), and holds what comes back against the documentation.
 * random_calls_do_no_harm.c starts the threads.
 *
 * With one thread, the fuzzer knows what each object is and what each call must
 * return. With several, others close, replace and change everything under the
 * call, on purpose; then the error must be one that the documentation has.
 */
#ifndef DUNE_TESTS_FUZZER_H
#define DUNE_TESTS_FUZZER_H

#include <stdatomic.h>
#include <dune_abi.h>
#include "harness.h"
#include "random.h"
#include "random_guest.h"

enum { NR_OBJECTS = 24, NR_THREADS = 16, MODEL_TILES = 6, FD_NEVER_OPEN = 1000000 };

enum { PIECE_BYTES = 1 << DUNE_TILE_SHIFT };

enum kind { KIND_VM, KIND_VCPU, KIND_FOREIGN_VM, KIND_FOREIGN_VCPU, KIND_OTHER };

/* What we know of a vm of our own; kept by its files, as in the module. */
struct vm_model {
	int users;
	bool kvm_held, own_vmx;
	uint64_t shown[MODEL_TILES]; /* hva + 1, or 0 */
};

struct object {
	atomic_int fd; /* or one of these */
	enum kind kind;
	struct vm_model *vm;
	struct dune_run *run;
	bool has_state; /* of random_guest_state() */
};
enum { OBJECT_EMPTY = -1, OBJECT_RESERVED = -2 };

/* What all threads share. */
struct world {
	uint64_t seed, steps;
	unsigned nr_threads;
	bool exact; /* one thread: we know what must come back */
	struct guest_limits limits;
	int kvm_vm; /* or -1 */
	bool kvm_loaded;
	struct object objects[NR_OBJECTS];
	struct guest_memory memory[NR_THREADS];
	char *scratch;	      /* for arguments.c */
	char *readable;	      /* a page that is not writable … */
	char *readable_alias; /* … but here */
	int pipe[2];
	struct stranger *stranger; /* another process, see strangers.c */
};

struct fuzzer {
	struct world *world;
	struct random random;
	unsigned thread;
	uint64_t step;
	const struct guest_memory *memory;
	char call[160]; /* for the report */
	uint64_t runs, exits[8];
};

/* One of the objects, of whatever kind, and it may be closed by now. */
struct object *pick_object(struct fuzzer *fuzzer);
/* … of this kind, or NULL if the first looks show none. */
struct object *pick_kind(struct fuzzer *fuzzer, enum kind kind);
/* A place for a new one, or NULL. */
struct object *reserve_object(struct fuzzer *fuzzer);
void fill_object(struct object *object, int fd, enum kind kind, struct vm_model *vm,
		 struct dune_run *run);
void close_object(struct fuzzer *fuzzer, struct object *object);

void open_vm(struct fuzzer *fuzzer);
void create_vcpu(struct fuzzer *fuzzer, struct object *vm);

/* calls.c: one random call. */
void fuzzer_step(struct fuzzer *fuzzer);

/* run.c: a random guest in one of the vcpus. */
void run_guest(struct fuzzer *fuzzer);
void set_tile_of_guest(struct fuzzer *fuzzer, struct object *vm);

/* mappings.c: the host changes what guests have under them. */
void change_mappings(struct fuzzer *fuzzer);
void map_guest_memory(struct world *world, unsigned thread);

/* strangers.c: the same descriptors in other processes. */
struct stranger *stranger_start(struct world *world);
void call_from_fork_child(struct fuzzer *fuzzer);
void pass_to_stranger(struct fuzzer *fuzzer);

/* Signals to this thread that end each guest's turn (world.c). */
void start_ticks(void);

/* world.c: runs a world's threads to their end, with a remark on what they did. */
void world_run(uint64_t seed, uint64_t steps, unsigned nr_threads, bool any_code);

/* ---- Arguments ---------------------------------------------------------------- */

struct argument {
	void *pointer;
	bool readable, writable;
};

/* A pointer to bytes with these contents, if it can be read at all. */
struct argument random_argument(struct fuzzer *fuzzer, const void *contents, size_t bytes);

/* ---- What came back (expect.c) ------------------------------------------------- */

/* The call that is under way, for reports. */
void now_calling(struct fuzzer *fuzzer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define ERRNO_SET(...)         \
	(const int[])          \
	{                      \
		__VA_ARGS__, 0 \
	}

/*
 * result is a system call's; 0 or more is success, and fine if can_succeed. In a
 * world that is not exact, all that the documentation has is fine.
 */
void expect(struct fuzzer *fuzzer, long result, bool can_succeed, const int *errors);
_Noreturn void fuzzer_fail(struct fuzzer *fuzzer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- The host's own state (host_state.c) --------------------------------------- */

struct host_state {
	uint64_t fs_base, gs_base, xcr0, signal_mask;
	uint16_t ds, es, fs, gs, ss, cs;
	uint64_t flags;
	unsigned lsl_cpu, rdtscp_cpu;
};

void host_state_read(struct host_state *state);
/* What a guest shares with its thread, and may have changed. */
void host_state_reset_vector(void);
/*
 * A hardware breakpoint of this thread, from perf: the debug registers that a guest
 * must not take along. False once it does not count any more; true where it cannot
 * be had.
 */
void host_watch_begin(void);
bool host_watch_works(void);
/* In a fork child, where the breakpoint is still its parent's. */
void host_watch_forget(void);

/* NULL, or what differs. */
const char *host_state_compare(const struct host_state *before, const struct host_state *after);

#endif
