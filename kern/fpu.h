/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The thread's vector state when the kernel has put it away. Linux loads it on
 * the way to user mode; a thread that is traced never gets there between the
 * tracer's stop and the body of its system call, so we must be able to, too.
 */
#ifndef DUNE_FPU_H
#define DUNE_FPU_H

#include "compat.h"

#if COMPAT_HAS_SWITCH_FPU_RETURN

/* Interrupts off; TIF_NEED_FPU_LOAD set. The kernel's own function does it. */
static inline void dune_fpu_load(void)
{
	switch_fpu_return();
}

static inline void dune_fpu_put(void)
{
}

#else

/*
 * Borrowed: loaded from where the kernel keeps it, put back there before
 * interrupts are on again. The kernel never learns that it was in the
 * registers.
 */
void dune_fpu_load(void);
void dune_fpu_put(void);

#endif

#endif /* DUNE_FPU_H */
