/* SPDX-License-Identifier: GPL-2.0-only */
/* Ways to show what vms.c read: main.c chooses. */
#ifndef DUNE_STAT_SHOW_H
#define DUNE_STAT_SHOW_H

#include "vms.h"

/*
 * A table, the busiest vm first: counts per second since an earlier reading, or,
 * if that is NULL, since each vm began. At most that many lines.
 */
void show_table(const struct vms *now, const struct vms *earlier, unsigned lines);

/* Everything there is, as one JSON object. */
void show_json(const struct vms *vms);

#endif
