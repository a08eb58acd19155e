/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, for perf and trace-cmd: events dune:*. Each costs a no-op where
 * nobody listens. run.c, ept.c and notifier.c call them; main.c defines them.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dune

#if !defined(DUNE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DUNE_TRACE_H

#include <linux/tracepoint.h>
#include <asm/vmx.h>

TRACE_EVENT(dune_enter,
	TP_PROTO(const void *vcpu, int cpu),
	TP_ARGS(vcpu, cpu),
	TP_STRUCT__entry(
		__field(const void *, vcpu)
		__field(int, cpu)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->cpu = cpu;
	),
	TP_printk("vcpu %p cpu %d", __entry->vcpu, __entry->cpu)
);

/* reason is the hardware's: the VMCS's exit-reason field. */
TRACE_EVENT(dune_exit,
	TP_PROTO(const void *vcpu, u32 reason),
	TP_ARGS(vcpu, reason),
	TP_STRUCT__entry(
		__field(const void *, vcpu)
		__field(u32, reason)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->reason = reason;
	),
	TP_printk("vcpu %p reason %s%s", __entry->vcpu,
		  __print_symbolic(__entry->reason & 0xffff, VMX_EXIT_REASONS),
		  __entry->reason & VMX_EXIT_REASONS_FAILED_VMENTRY ?
			  " (entry failed)" : "")
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
	TP_printk("gpa %#llx hva %#llx access %c%c%c result %d", __entry->gpa,
		  __entry->hva,
		  __entry->access & VMX_EPT_READABLE_MASK ? 'r' : '-',
		  __entry->access & VMX_EPT_WRITABLE_MASK ? 'w' : '-',
		  __entry->access & VMX_EPT_EXECUTABLE_MASK ? 'x' : '-',
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

#endif /* DUNE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
