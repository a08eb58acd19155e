/* SPDX-License-Identifier: GPL-2.0-only */
/* The event to deliver at the next entry; see event.c. */
#ifndef DUNE_EVENT_H
#define DUNE_EVENT_H

#include "vcpu.h"

/* An exception of the guest's own; false: that makes a triple fault. */
bool dune_event_raise(struct dune_vcpu *vcpu, u8 vector, u32 error);

/* Interrupts off, VMCS current, before the exit's other fields are used up. */
void dune_event_requeue(struct dune_vcpu *vcpu);

int dune_event_inject(struct dune_vcpu *vcpu, u32 inject, u32 error, u64 cr2);

#endif /* DUNE_EVENT_H */
