/* SPDX-License-Identifier: GPL-2.0-only */
/* The world switch in vmenter.S, as C sees it. */
#ifndef DUNE_VMENTER_H
#define DUNE_VMENTER_H

/* HOST_RSP of <asm/vmx.h>, which assembly cannot include; vmcs_setup.c asserts it. */
#define VMCS_HOST_RSP 0x6c14

#ifndef __ASSEMBLY__
#include <linux/linkage.h>
#include <linux/types.h>

asmlinkage bool dune_vmenter(u64 *gpr, u64 *host_rsp, bool launched);
asmlinkage bool dune_vmenter_verw(u64 *gpr, u64 *host_rsp, bool launched);
extern char dune_vmexit[]; /* HOST_RIP */

#endif /* __ASSEMBLY__ */
#endif /* DUNE_VMENTER_H */
