/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters: each vcpu has its own, which only the thread that runs it writes;
 * a vm's are the sum. Read by DUNE_GET_STATS, DUNE_GET_EXITS and debugfs.c.
 */
#ifndef DUNE_STATS_H
#define DUNE_STATS_H

#include <linux/types.h>

#include "dune_abi.h"

struct dune_vcpu;
struct dune_vm;

/*
 * An exit costs one increment, that of exits[]. What dune_counters_read() can
 * tell from it is not counted again: there, stat[] holds corrections.
 */
struct dune_counters {
	u64 stat[DUNE_STAT_NR];
	u64 exits[DUNE_EXITS_MAX]; /* by basic reason; the last: all beyond */
};

void dune_counters_add(struct dune_counters *sum,
		       const struct dune_counters *more);

/* What the counters say, with nothing left out. */
void dune_counters_read(struct dune_counters *to, const struct dune_vcpu *vcpu);
void dune_counters_read_vm(struct dune_counters *to, struct dune_vm *vm);

int dune_counters_copy(void __user *to, unsigned int cmd,
		       const struct dune_counters *from);

#endif /* DUNE_STATS_H */
