/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waiting for descriptors: poll, ppoll, select, pselect6.
 */
#ifndef SANDBOX_READINESS_H
#define SANDBOX_READINESS_H

struct sandbox_call;

long emulate_poll(struct sandbox_call *call);
long emulate_ppoll(struct sandbox_call *call);
long emulate_select(struct sandbox_call *call);
long emulate_pselect6(struct sandbox_call *call);

#endif
