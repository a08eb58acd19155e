/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's debug registers; see debug.c. */
#ifndef DUNE_DEBUG_H
#define DUNE_DEBUG_H

#include "vcpu.h"

/* Bits of the debug registers (Intel SDM, "Debug Registers"). */
#define DR6_FIXED 0xffff0ff0UL
#define DR6_WRITABLE 0xe00fUL
#define DR7_WRITABLE 0xffff03ffUL

static __always_inline bool dune_debug_in_use(u64 dr7)
{
	return dr7 & 0xff; /* any of the four enabled */
}

/* Interrupts off; between the two the registers hold the guest's. */
void dune_debug_load(struct dune_vcpu *vcpu);
void dune_debug_put(struct dune_vcpu *vcpu);

/* Answers an exit for MOV DR; returns an enum dune_action. */
int dune_debug_access(struct dune_vcpu *vcpu);

#endif /* DUNE_DEBUG_H */
