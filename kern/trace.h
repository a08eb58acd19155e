/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, for perf and trace-cmd: events dune:*. Each costs a no-op where
 * nobody listens. run.c, exit.c, ept.c and ept_fault.c call them; main.c defines
 * them. vm and vcpu are the numbers that the vm's file in debugfs has
 * (debugfs.c).
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dune

#if !defined(DUNE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DUNE_TRACE_H

#include <linux/tracepoint.h>
#include <asm/vmx.h>

#include "dune_exit_reason.h"
#include "vcpu.h"
#include "vm.h"

/* clang-format off */
TRACE_EVENT(dune_enter,
	TP_PROTO(const struct dune_vcpu *vcpu, int cpu),
	TP_ARGS(vcpu, cpu),
	TP_STRUCT__entry(
		__field(u64, vm)
		__field(u32, vcpu)
		__field(int, cpu)
		__field(u32, inject)
	),
	TP_fast_assign(
		__entry->vm = vcpu->vm->id;
		__entry->vcpu = vcpu->id;
		__entry->cpu = cpu;
		__entry->inject = vcpu->event.info;
	),
	TP_printk("vm %llu vcpu %u cpu %d inject %#x", __entry->vm,
		  __entry->vcpu, __entry->cpu, __entry->inject)
);

/* reason is the hardware's: the VMCS's exit-reason field. */
TRACE_EVENT(dune_exit,
	TP_PROTO(const struct dune_vcpu *vcpu, u32 reason),
	TP_ARGS(vcpu, reason),
	TP_STRUCT__entry(
		__field(u64, vm)
		__field(u32, vcpu)
		__field(u32, reason)
		__field(u64, rip)
		__field(u64, qualification)
	),
	TP_fast_assign(
		__entry->vm = vcpu->vm->id;
		__entry->vcpu = vcpu->id;
		__entry->reason = reason;
		__entry->rip = vmcs_read_natural(GUEST_RIP);
		__entry->qualification = vmcs_read_natural(EXIT_QUALIFICATION);
	),
	TP_printk("vm %llu vcpu %u reason %s%s rip %#llx qualification %#llx",
		  __entry->vm, __entry->vcpu,
		  __print_symbolic(__entry->reason & 0xffff, DUNE_EXIT_REASONS),
		  __entry->reason & VMX_EXIT_REASONS_FAILED_VMENTRY ?
			  " (entry failed)" : "",
		  __entry->rip, __entry->qualification)
);

TRACE_EVENT(dune_ept_fault,
	TP_PROTO(u64 gpa, u64 hva, u32 access, int err),
	TP_ARGS(gpa, hva, access, err),
	TP_STRUCT__entry(
		__field(u64, gpa)
		__field(u64, hva)
		__field(u32, access)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->gpa = gpa;
		__entry->hva = hva;
		__entry->access = access;
		__entry->err = err;
	),
	TP_printk("gpa %#llx hva %#llx access %s result %d", __entry->gpa,
		  __entry->hva,
		  __print_flags(__entry->access, "|",
				{ VMX_EPT_READABLE_MASK, "read" },
				{ VMX_EPT_WRITABLE_MASK, "write" },
				{ VMX_EPT_EXECUTABLE_MASK, "execute" }),
		  __entry->err)
);

TRACE_EVENT(dune_zap,
	TP_PROTO(unsigned long start, unsigned long end, bool any),
	TP_ARGS(start, end, any),
	TP_STRUCT__entry(
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(bool, any)
	),
	TP_fast_assign(
		__entry->start = start;
		__entry->end = end;
		__entry->any = any;
	),
	TP_printk("hva %#lx-%#lx %s", __entry->start, __entry->end,
		  __entry->any ? "flushed" : "nothing mapped")
);

/* clang-format on */

#endif /* DUNE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
