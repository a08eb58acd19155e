// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's segments, as a table. In 64-bit mode only their rights matter;
 * the guest may load others later from its own GDT.
 */
#include "dune_abi.h"
#include "segment.h"
#include "vmx_insn.h"

/* Access rights (Intel SDM, "Guest Register State"). */
#define AR_CODE64(dpl) (0xa09b | (dpl) << 5) /* present, long, accessed */
#define AR_DATA(dpl) (0xc093 | (dpl) << 5)
#define AR_TSS64_BUSY 0x8b
#define AR_UNUSABLE 0x10000

#define SEGMENT_WRITE(name, selector, base, limit, ar)                         \
	do {                                                                   \
		vmcs_write16(GUEST_##name##_SELECTOR, selector);               \
		vmcs_write_natural(GUEST_##name##_BASE, base);                 \
		vmcs_write32(GUEST_##name##_LIMIT, limit);                     \
		vmcs_write32(GUEST_##name##_AR_BYTES, ar);                     \
	} while (0)

bool dune_segment_valid_cs_ss(u16 cs, u16 ss)
{
	return (cs == DUNE_SEL_CODE0 && ss == DUNE_SEL_DATA0) ||
	       (cs == DUNE_SEL_CODE3 && ss == DUNE_SEL_DATA3);
}

/* cs and ss are one of the two pairs that dune_segment_valid_cs_ss() knows. */
void dune_segment_write_cs_ss(u16 cs, u16 ss)
{
	u32 dpl = cs & 3;

	SEGMENT_WRITE(CS, cs, 0, ~0U, AR_CODE64(dpl));
	SEGMENT_WRITE(SS, ss, 0, ~0U, AR_DATA(dpl));
}

/* As a whole: with the rights of what the guest has loaded, it may not fit. */
void dune_segment_write_tss(u64 base, u32 limit)
{
	SEGMENT_WRITE(TR, DUNE_SEL_TSS, base, limit, AR_TSS64_BUSY);
}

/* All the others; the bases of FS and GS are written apart. */
void dune_segment_write_fixed(void)
{
	SEGMENT_WRITE(DS, 0, 0, 0, AR_UNUSABLE);
	SEGMENT_WRITE(ES, 0, 0, 0, AR_UNUSABLE);
	SEGMENT_WRITE(FS, 0, 0, 0, AR_UNUSABLE);
	SEGMENT_WRITE(GS, 0, 0, 0, AR_UNUSABLE);
	SEGMENT_WRITE(LDTR, 0, 0, 0, AR_UNUSABLE);
	dune_segment_write_tss(0, 0x67);
}
