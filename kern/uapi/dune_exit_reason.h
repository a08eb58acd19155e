/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * Names for what the CPU says in numbers: the one table that the module's
 * tracepoints, its files in debugfs and its log share with libdune's messages
 * and with dune-stat.
 */
#ifndef DUNE_EXIT_REASON_H
#define DUNE_EXIT_REASON_H

/*
 * Basic exit reasons (Intel SDM, "VMX Basic Exit Reasons"), with the names that
 * Linux gives them in its own traces. Rows for an array of { number, name }.
 */
/* clang-format off */
#define DUNE_EXIT_REASONS                                                      \
	{ 0, "EXCEPTION_NMI" }, { 1, "EXTERNAL_INTERRUPT" },                   \
	{ 2, "TRIPLE_FAULT" }, { 3, "INIT_SIGNAL" }, { 4, "SIPI_SIGNAL" },     \
	{ 5, "IO_SMI" }, { 6, "OTHER_SMI" }, { 7, "INTERRUPT_WINDOW" },        \
	{ 8, "NMI_WINDOW" }, { 9, "TASK_SWITCH" }, { 10, "CPUID" },            \
	{ 11, "GETSEC" }, { 12, "HLT" }, { 13, "INVD" }, { 14, "INVLPG" },     \
	{ 15, "RDPMC" }, { 16, "RDTSC" }, { 17, "RSM" }, { 18, "VMCALL" },     \
	{ 19, "VMCLEAR" }, { 20, "VMLAUNCH" }, { 21, "VMPTRLD" },              \
	{ 22, "VMPTRST" }, { 23, "VMREAD" }, { 24, "VMRESUME" },               \
	{ 25, "VMWRITE" }, { 26, "VMOFF" }, { 27, "VMON" },                    \
	{ 28, "CR_ACCESS" }, { 29, "DR_ACCESS" }, { 30, "IO_INSTRUCTION" },    \
	{ 31, "MSR_READ" }, { 32, "MSR_WRITE" }, { 33, "INVALID_STATE" },      \
	{ 34, "MSR_LOAD_FAIL" }, { 36, "MWAIT_INSTRUCTION" },                  \
	{ 37, "MONITOR_TRAP_FLAG" }, { 39, "MONITOR_INSTRUCTION" },            \
	{ 40, "PAUSE_INSTRUCTION" }, { 41, "MCE_DURING_VMENTRY" },             \
	{ 43, "TPR_BELOW_THRESHOLD" }, { 44, "APIC_ACCESS" },                  \
	{ 45, "EOI_INDUCED" }, { 46, "GDTR_IDTR" }, { 47, "LDTR_TR" },         \
	{ 48, "EPT_VIOLATION" }, { 49, "EPT_MISCONFIG" }, { 50, "INVEPT" },    \
	{ 51, "RDTSCP" }, { 52, "PREEMPTION_TIMER" }, { 53, "INVVPID" },       \
	{ 54, "WBINVD" }, { 55, "XSETBV" }, { 56, "APIC_WRITE" },              \
	{ 57, "RDRAND" }, { 58, "INVPCID" }, { 59, "VMFUNC" },                 \
	{ 60, "ENCLS" }, { 61, "RDSEED" }, { 62, "PML_FULL" },                 \
	{ 63, "XSAVES" }, { 64, "XRSTORS" }, { 65, "PCONFIG" },                \
	{ 66, "SPP_EVENT" }, { 67, "UMWAIT" }, { 68, "TPAUSE" },               \
	{ 69, "LOADIWKEY" }, { 70, "ENCLV" }, { 72, "ENQCMD_PASID" },          \
	{ 73, "ENQCMDS_PASID" }, { 74, "BUS_LOCK" }, { 75, "NOTIFY" },         \
	{ 76, "SEAMCALL" }, { 77, "TDCALL" }, { 78, "RDMSRLIST" },             \
	{ 79, "WRMSRLIST" }, { 84, "MSR_READ_IMM" }, { 85, "MSR_WRITE_IMM" }

/* Why a VMX instruction failed (Intel SDM, "VM-Instruction Error Numbers"). */
#define DUNE_VM_INSTRUCTION_ERRORS                                             \
	{ 1, "VMCALL executed in VMX root operation" },                        \
	{ 2, "VMCLEAR with invalid physical address" },                        \
	{ 3, "VMCLEAR with VMXON pointer" },                                   \
	{ 4, "VMLAUNCH with non-clear VMCS" },                                 \
	{ 5, "VMRESUME with non-launched VMCS" },                              \
	{ 6, "VMRESUME after VMXOFF" },                                        \
	{ 7, "VM entry with invalid control field(s)" },                       \
	{ 8, "VM entry with invalid host-state field(s)" },                    \
	{ 9, "VMPTRLD with invalid physical address" },                        \
	{ 10, "VMPTRLD with VMXON pointer" },                                  \
	{ 11, "VMPTRLD with incorrect VMCS revision identifier" },             \
	{ 12, "VMREAD or VMWRITE of an unsupported VMCS component" },          \
	{ 13, "VMWRITE to read-only VMCS component" },                         \
	{ 15, "VMXON executed in VMX root operation" },                        \
	{ 16, "VM entry with invalid executive-VMCS pointer" },                \
	{ 17, "VM entry with non-launched executive VMCS" },                   \
	{ 18, "VM entry with executive-VMCS pointer not VMXON pointer" },      \
	{ 19, "VMCALL with non-clear VMCS" },                                  \
	{ 20, "VMCALL with invalid VM-exit control fields" },                  \
	{ 22, "VMCALL with incorrect MSEG revision identifier" },              \
	{ 23, "VMXOFF under dual-monitor treatment" },                         \
	{ 24, "VMCALL with invalid SMM-monitor features" },                    \
	{ 25, "VM entry with invalid execution controls in executive VMCS" },  \
	{ 26, "VM entry with events blocked by MOV SS" },                      \
	{ 28, "invalid operand to INVEPT or INVVPID" }
/* clang-format on */

struct dune_name {
	unsigned int number;
	const char *name;
};

#define DUNE_EXIT_REASON_TABLE(table)                                          \
	static const struct dune_name table[] = { DUNE_EXIT_REASONS }
#define DUNE_VM_INSTRUCTION_ERROR_TABLE(table)                                 \
	static const struct dune_name table[] = { DUNE_VM_INSTRUCTION_ERRORS }

/* The name of a number in such a table, or NULL. */
static inline const char *dune_name_find(const struct dune_name *table,
					 unsigned int entries,
					 unsigned int number)
{
	unsigned int i;

	for (i = 0; i < entries; i++) {
		if (table[i].number == number)
			return table[i].name;
	}
	return (const char *)0;
}

#endif /* DUNE_EXIT_REASON_H */
