/* SPDX-License-Identifier: GPL-2.0-only */
/* The mmu notifier of a vm: the host's page tables tell the EPT. */
#ifndef DUNE_NOTIFIER_H
#define DUNE_NOTIFIER_H

#include <linux/mmu_notifier.h>
#include "ept.h"

struct dune_notifier {
	struct mmu_notifier mn;
	struct dune_ept *ept;
};

int dune_notifier_init(struct dune_notifier *notifier, struct dune_ept *ept);
void dune_notifier_exit(struct dune_notifier *notifier);

#endif /* DUNE_NOTIFIER_H */
