/* SPDX-License-Identifier: GPL-2.0-only */
/* What the administrator sees of each vm: /sys/kernel/debug/dune. */
#ifndef DUNE_DEBUGFS_H
#define DUNE_DEBUGFS_H

struct dune_vm;

void dune_debugfs_init(void);
void dune_debugfs_exit(void);

void dune_debugfs_add_vm(struct dune_vm *vm);
void dune_debugfs_del_vm(struct dune_vm *vm);

#endif /* DUNE_DEBUGFS_H */
