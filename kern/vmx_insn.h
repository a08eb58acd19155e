/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One inline for each VMX instruction, and the typed VMCS accessors.
 *
 * The instructions that can fail return true when they did (CF or ZF; Intel
 * SDM, "Conventions"). All of them need VMX on and interrupts or preemption
 * off, since they act on this CPU.
 */
#ifndef DUNE_VMX_INSN_H
#define DUNE_VMX_INSN_H

#include <linux/build_bug.h>
#include <linux/percpu.h>
#include <asm/asm.h>
#include <asm/vmx.h>

#define VMX_NO_VMCS (~0ULL) /* what VMPTRST stores when none is current */

static __always_inline bool vmx_on(u64 region_pa)
{
	bool failed;

	/* CF stays set if it is #GP, where firmware has not allowed VMX. */
	asm volatile("   stc\n"
		     "1: vmxon %1\n"
		     "2:\n" _ASM_EXTABLE(1b, 2b)
		     : "=@ccna"(failed)
		     : "m"(region_pa)
		     : "memory");
	return failed;
}

/* Not even a panic on a CPU whose VMX somebody else has turned off can fail. */
static __always_inline void vmx_off(void)
{
	asm volatile("1: vmxoff\n"
		     "2:\n" _ASM_EXTABLE(1b, 2b)
		     :
		     :
		     : "cc", "memory");
}

static __always_inline bool vmx_vmclear(u64 vmcs_pa)
{
	bool failed;

	asm volatile("vmclear %1" : "=@ccna"(failed) : "m"(vmcs_pa) : "memory");
	return failed;
}

static __always_inline bool vmx_vmptrld(u64 vmcs_pa)
{
	bool failed;

	asm volatile("vmptrld %1" : "=@ccna"(failed) : "m"(vmcs_pa) : "memory");
	return failed;
}

static __always_inline void vmx_vmptrst(u64 *vmcs_pa)
{
	asm volatile("vmptrst %0" : "=m"(*vmcs_pa) : : "cc", "memory");
}

static __always_inline bool vmx_invept(u64 type, u64 eptp)
{
	struct {
		u64 eptp, zero;
	} descriptor = { eptp, 0 };
	bool failed;

	asm volatile("invept %1, %2"
		     : "=@ccna"(failed)
		     : "m"(descriptor), "r"(type)
		     : "memory");
	return failed;
}

/* Accesses on this CPU since the run path last collected them. */
DECLARE_PER_CPU(u64, dune_vmcs_accesses);

static __always_inline u64 vmcs_read_any(unsigned long field)
{
	u64 value;

	__this_cpu_inc(dune_vmcs_accesses);
	asm volatile("vmread %1, %0" : "=rm"(value) : "r"(field) : "cc");
	return value;
}

void dune_vmcs_write_failed(unsigned long field, u64 value);

static __always_inline void vmcs_write_any(unsigned long field, u64 value)
{
	bool failed;

	__this_cpu_inc(dune_vmcs_accesses);
	asm volatile("vmwrite %1, %2"
		     : "=@ccna"(failed)
		     : "rm"(value), "r"(field));
	if (unlikely(failed))
		dune_vmcs_write_failed(field, value);
}

/*
 * Bits 14:13 of a field's encoding give its width (Intel SDM, "Field Encoding
 * in VMCS"): an accessor of another width does not compile.
 */
#define VMCS_ACCESSORS(name, type, width)                                      \
	static __always_inline type vmcs_read##name(unsigned long field)       \
	{                                                                      \
		BUILD_BUG_ON(!__builtin_constant_p(field));                    \
		BUILD_BUG_ON(((field >> 13) & 3) != (width));                  \
		return vmcs_read_any(field);                                   \
	}                                                                      \
	static __always_inline void vmcs_write##name(unsigned long field,      \
						     type value)               \
	{                                                                      \
		BUILD_BUG_ON(!__builtin_constant_p(field));                    \
		BUILD_BUG_ON(((field >> 13) & 3) != (width));                  \
		vmcs_write_any(field, value);                                  \
	}

VMCS_ACCESSORS(16, u16, 0)
VMCS_ACCESSORS(64, u64, 1)
VMCS_ACCESSORS(32, u32, 2)
VMCS_ACCESSORS(_natural, unsigned long, 3)

#undef VMCS_ACCESSORS

#endif /* DUNE_VMX_INSN_H */
