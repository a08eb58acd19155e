/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's segments as the VMCS holds them; used by vmcs_setup.c, state.c. */
#ifndef DUNE_SEGMENT_H
#define DUNE_SEGMENT_H

#include <linux/types.h>

bool dune_segment_valid_cs_ss(u16 cs, u16 ss);
void dune_segment_write_cs_ss(u16 cs, u16 ss);
void dune_segment_write_tss(u64 base, u32 limit);
void dune_segment_write_fixed(void);

#endif /* DUNE_SEGMENT_H */
