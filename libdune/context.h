/* SPDX-License-Identifier: MIT */
/*
 * The process's one Dune: file descriptors, capabilities and the lists that
 * threads share. Written by dune_init() and by the child after a fork.
 */
#ifndef LIBDUNE_CONTEXT_H
#define LIBDUNE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>
#include "dune_abi.h"

struct cpu;

struct dune_context {
	bool ready;
	bool kvm_held;
	bool wrgsbase; /* the host lets programs write GS base themselves */
	int vm_fd;
	struct dune_caps caps;
	struct cpu *cpus;
	int arena_lock; /* arenas, while one is made; taken before the other */
	int lock;	/* cpus, tiles, page tables. Both are held across fork */
};

extern struct dune_context dune;

/* backend_dune.c: the module's calls. 0 or -errno; see dune_abi.h. */
int dune_backend_open(void);
int dune_backend_set_tile(uint32_t tile, uint32_t flags, uint64_t hva);
int dune_backend_flush_tlb(void);
int dune_backend_get_stats(struct dune_stats *stats);
/* Maps the run page at `at`, or anywhere when NULL. Returns the vcpu fd. */
int dune_backend_create_vcpu(void *at, struct dune_run **run);
int dune_backend_get_state(int vcpu_fd, struct dune_state *state);
int dune_backend_set_state(int vcpu_fd, const struct dune_state *state);
long dune_backend_next_fd(unsigned fd);

/* A lock that works in both worlds and needs no libc. */
void dune_lock(int *lock);
void dune_unlock(int *lock);

#endif
