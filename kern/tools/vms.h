/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All vms of this computer at one moment, as the module's files in debugfs tell
 * (kern/debugfs.c). Read by vms.c, shown by table.c and json.c.
 */
#ifndef DUNE_STAT_VMS_H
#define DUNE_STAT_VMS_H

#include <stdint.h>
#include <sys/types.h>

struct counter {
	char name[32];
	uint64_t value;
};

/* A vm or a vcpu. Exits by the CPU's reason have a list of their own. */
struct record {
	uint64_t number;
	struct counter *counters, *exits;
	unsigned nr_counters, nr_exits;
};

struct vm {
	pid_t pid;
	char comm[80]; /* printable; empty if the process has ended */
	char vmx[8];   /* who keeps VMX on: kvm, own, none */
	struct record total;
	struct record *vcpus;
	unsigned nr_vcpus;
};

struct vms {
	double seconds; /* when: of the monotonic clock */
	struct vm *vm;
	unsigned nr;
};

/*
 * Reads all vms, or those of process pid if it is not 0. 0, or -1 after a message
 * on stderr. The caller frees.
 */
int vms_read(struct vms *vms, pid_t pid);
void vms_free(struct vms *vms);

/* The vm of that number, or NULL. */
const struct vm *vms_find(const struct vms *vms, uint64_t number);

/* 0 if there is none of that name. */
uint64_t record_counter(const struct record *record, const char *name);

#endif
