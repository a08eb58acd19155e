// SPDX-License-Identifier: GPL-2.0-only
/*
 * The MSRs that the guest may read or write, one row each; all others are #GP.
 * Called by exit.c with the guest's state in the hardware.
 */
#include <asm/msr.h>

#include "compat.h"
#include "cpu_insn.h"
#include "exit.h"
#include "vmx_insn.h"

struct msr_row {
	u32 msr;
	u64 (*read)(struct dune_vcpu *vcpu);
	bool (*write)(struct dune_vcpu *vcpu, u64 value); /* may be NULL */
};

static u64 read_fs_base(struct dune_vcpu *vcpu)
{
	return vmcs_read_natural(GUEST_FS_BASE);
}

static u64 read_gs_base(struct dune_vcpu *vcpu)
{
	return vmcs_read_natural(GUEST_GS_BASE);
}

static u64 read_kernel_gs_base(struct dune_vcpu *vcpu)
{
	return cpu_read_inactive_gs_base();
}

static u64 read_lstar(struct dune_vcpu *vcpu)
{
	return vcpu->lstar;
}

static u64 read_efer(struct dune_vcpu *vcpu)
{
	return cpu_read_msr(MSR_EFER);
}

static u64 read_star(struct dune_vcpu *vcpu)
{
	return cpu_read_msr(MSR_STAR);
}

static u64 read_fmask(struct dune_vcpu *vcpu)
{
	return cpu_read_msr(MSR_SYSCALL_MASK);
}

/* The CPU loads none of these from a non-canonical address: #GP, or worse. */
static bool canonical(u64 value)
{
	return compat_is_canonical(value);
}

static bool write_fs_base(struct dune_vcpu *vcpu, u64 value)
{
	if (!canonical(value))
		return false;
	vmcs_write_natural(GUEST_FS_BASE, value);
	return true;
}

static bool write_gs_base(struct dune_vcpu *vcpu, u64 value)
{
	if (!canonical(value))
		return false;
	vmcs_write_natural(GUEST_GS_BASE, value);
	return true;
}

static bool write_kernel_gs_base(struct dune_vcpu *vcpu, u64 value)
{
	if (!canonical(value))
		return false;
	cpu_write_inactive_gs_base(value);
	return true;
}

static bool write_lstar(struct dune_vcpu *vcpu, u64 value)
{
	if (!canonical(value))
		return false;
	vcpu->lstar = value;
	cpu_write_msr(MSR_LSTAR, value);
	return true;
}

static const struct msr_row rows[] = {
	{ MSR_FS_BASE, read_fs_base, write_fs_base },
	{ MSR_GS_BASE, read_gs_base, write_gs_base },
	{ MSR_KERNEL_GS_BASE, read_kernel_gs_base, write_kernel_gs_base },
	{ MSR_LSTAR, read_lstar, write_lstar },
	{ MSR_EFER, read_efer, NULL },
	{ MSR_STAR, read_star, NULL },
	{ MSR_SYSCALL_MASK, read_fmask, NULL },
};

static const struct msr_row *find_row(u32 msr)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].msr == msr)
			return &rows[i];
	}
	return NULL;
}

bool dune_msr_read(struct dune_vcpu *vcpu, u32 msr, u64 *value)
{
	const struct msr_row *row = find_row(msr);

	if (!row)
		return false;
	*value = row->read(vcpu);
	return true;
}

bool dune_msr_write(struct dune_vcpu *vcpu, u32 msr, u64 value)
{
	const struct msr_row *row = find_row(msr);

	if (!row)
		return false;
	if (row->write)
		return row->write(vcpu, value);
	/* The host's own: writing what is there already is no change. */
	return row->read(vcpu) == value;
}
