/* SPDX-License-Identifier: GPL-2.0-only */
/* What keeps VMX on while a vm may run. vm.c keeps one for each vm. */
#ifndef DUNE_HOLD_H
#define DUNE_HOLD_H

#include <linux/types.h>

struct dune_hold;
struct file;

struct dune_hold *dune_hold_kvm(struct file *file);
struct dune_hold *dune_hold_shared(void);
struct dune_hold *dune_hold_own(void);
void dune_hold_put(struct dune_hold *hold);

bool dune_hold_is_kvm(const struct dune_hold *hold);

#endif /* DUNE_HOLD_H */
