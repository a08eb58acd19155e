/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's state in the kernel's log, where the hardware would not go on. */
#ifndef DUNE_DUMP_H
#define DUNE_DUMP_H

#include "vcpu.h"

int dune_dump_guest(struct dune_vcpu *vcpu, int action);

#endif /* DUNE_DUMP_H */
