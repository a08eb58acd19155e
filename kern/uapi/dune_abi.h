/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The contract between the dune module and whoever opens /dev/dune.
 *
 * libdune is the usual caller; nothing here needs it. Next to read: vm.c and
 * vcpu.c on the kernel's side, libdune/backend_dune.c on the user's.
 *
 * Objects
 *   /dev/dune   one open file is one vm. It belongs to the address space (mm)
 *               that opened it; every call from another one is -ESTALE.
 *   vcpu fd     made by DUNE_CREATE_VCPU, one for each thread that runs. Its
 *               first page, mapped shared, is a struct dune_run.
 *
 * Guest-physical space is made of 1 GiB tiles. DUNE_SET_TILE says which
 * aligned 1 GiB piece of the caller's own addresses a tile shows. What is
 * readable, writable or executable in it is what the process's own mappings
 * say at that moment: an access that the process could not make itself ends in
 * DUNE_EXIT_MEMORY.
 *
 * Running: lseek(vcpu_fd, 0, SEEK_SET), or ioctl(vcpu_fd, DUNE_RUN), which
 * costs more. Both return an exit reason (>= 0) or -errno. Before a return the
 * hardware holds the thread's own state again, whatever the guest did.
 *
 * Rules for all calls: reserved fields and unknown flags must be zero (-EINVAL),
 * a structure that cannot be read or written is -EFAULT, an unknown number is
 * -ENOTTY. Fields are marked IN (read by the module) and OUT (written by it).
 */
#ifndef DUNE_ABI_H
#define DUNE_ABI_H

/* Index of each register in gpr[]: the order of the hardware's own encoding. */
#define DUNE_RAX 0
#define DUNE_RCX 1
#define DUNE_RDX 2
#define DUNE_RBX 3
#define DUNE_RSP 4
#define DUNE_RBP 5
#define DUNE_RSI 6
#define DUNE_RDI 7
#define DUNE_R8 8
#define DUNE_R9 9
#define DUNE_R10 10
#define DUNE_R11 11
#define DUNE_R12 12
#define DUNE_R13 13
#define DUNE_R14 14
#define DUNE_R15 15
#define DUNE_NR_GPRS 16

/*
 * Selectors of the guest. They are Linux's own, so that IA32_STAR and
 * IA32_FMASK need no switch; the last one holds the CPU number, which is what
 * the vDSO's getcpu() reads.
 */
#define DUNE_SEL_CODE0 0x10
#define DUNE_SEL_DATA0 0x18
#define DUNE_SEL_DATA3 0x2b
#define DUNE_SEL_CODE3 0x33
#define DUNE_SEL_TSS 0x40
#define DUNE_GDT_CPU 15
#define DUNE_GDT_ENTRIES 16

#ifndef __ASSEMBLY__
#include <linux/types.h>
#include <linux/ioctl.h>

#define DUNE_ABI_VERSION 1
#define DUNE_TILE_SHIFT 30
#define DUNE_RUN_SIZE 4096

/* Why DUNE_RUN returned. */
enum dune_exit {
	DUNE_EXIT_HYPERCALL = 0, /* VMCALL from ring 0; rip is past it */
	DUNE_EXIT_INTR = 1, /* the kernel had work (signal, timer): run again */
	DUNE_EXIT_MEMORY = 2, /* an access that the process could not make */
	DUNE_EXIT_SHUTDOWN = 3, /* triple fault */
	DUNE_EXIT_FAIL_ENTRY = 4, /* the CPU refused the guest's state */
	DUNE_EXIT_UNKNOWN = 5, /* an exit that the module does not know */
};

/*
 * dune_run.memory_access: what the guest tried (Intel SDM, "Exit Qualification
 * for EPT Violations").
 */
#define DUNE_ACCESS_READ (1U << 0)
#define DUNE_ACCESS_WRITE (1U << 1)
#define DUNE_ACCESS_EXEC (1U << 2)
#define DUNE_ACCESS_USER (1U << 3) /* the guest was in ring 3 */
#define DUNE_ACCESS_WALK (1U << 4) /* by the guest's own page walk */
#define DUNE_ACCESS_NO_TILE (1U << 5) /* no tile has this gpa; hva is void */

/*
 * dune_run.inject, as in the VM-entry interruption-information field: only
 * hardware exceptions can be injected.
 */
#define DUNE_INJECT_VALID (1U << 31)
#define DUNE_INJECT_ERROR (1U << 11)

/*
 * The page that module and caller share. The guest can reach it too, and may
 * write it at any moment: the module reads each input once, and nothing that
 * the host's safety rests on is kept here.
 */
struct dune_run {
	__u64 gpr[DUNE_NR_GPRS]; /* IN OUT; gpr[DUNE_RSP] is not used here */

	/* IN: an exception to deliver at the next entry; zeroed when taken. */
	__u32 inject; /* DUNE_INJECT_* | vector */
	__u32 inject_error; /* error code */
	__u64 inject_cr2; /* CR2, for vector 14 */

	/* OUT */
	__u32 exit_reason; /* enum dune_exit */
	/* Basic exit reason of the CPU: MEMORY, FAIL_ENTRY (0: no exit), UNKNOWN. */
	__u32 hardware_reason;
	__u64 rip; /* guest's rip, except for DUNE_EXIT_INTR */
	__u64 memory_gva; /* DUNE_EXIT_MEMORY; gva 0 where unknown */
	__u64 memory_gpa;
	__u64 memory_hva;
	__u32 memory_access; /* DUNE_ACCESS_* */
	__u32 entry_error; /* DUNE_EXIT_FAIL_ENTRY: VM-instruction error */
	__u64 qualification; /* DUNE_EXIT_FAIL_ENTRY, DUNE_EXIT_UNKNOWN */
	__u32 cpu; /* CPU of the last entry */
	__u32 pad[3];

	__u64 reserved[37];

	/*
	 * The guest's GDT belongs here: the module keeps entry DUNE_GDT_CPU
	 * right as the thread moves from CPU to CPU, and touches no other.
	 */
	__u64 gdt[DUNE_GDT_ENTRIES];
};

/* DUNE_GET_CAPS */
#define DUNE_CAP_GUEST_1G (1ULL << 0) /* guest may use 1 GiB pages */
#define DUNE_CAP_EPT_2M (1ULL << 1)
#define DUNE_CAP_EPT_1G (1ULL << 2)
#define DUNE_CAP_VPID (1ULL << 3)
#define DUNE_CAP_OWN_VMX (1ULL << 4) /* can turn VMX on without KVM */
#define DUNE_CAP_RUN_LSEEK (1ULL << 5)

struct dune_caps {
	__u32 abi_version; /* OUT */
	__u32 nr_tiles; /* OUT: tile numbers are 0 … nr_tiles - 1 */
	__u64 features; /* OUT: DUNE_CAP_* */
	__u64 cr0_allowed; /* OUT: bits the guest may change in CR0 */
	__u64 cr4_allowed; /* OUT: bits the guest may set in CR4 */
	__u64 xcr0; /* OUT: the guest's XCR0, which is the host's */
	__u64 reserved[4]; /* OUT: zero */
};

/* DUNE_SET_TILE */
#define DUNE_TILE_CLEAR (1U << 0) /* the tile shows nothing any more */

struct dune_tile {
	__u32 tile; /* IN */
	__u32 flags; /* IN: DUNE_TILE_* */
	__u64 hva; /* IN: 1 GiB aligned; zero with DUNE_TILE_CLEAR */
};

/* DUNE_HOLD_KVM: keep KVM's hold on VMX for the life of this vm. */
#define DUNE_HOLD_SHARED (1U << 0) /* the one of another vm of this user */

struct dune_hold_kvm {
	__s32 kvm_vm_fd; /* IN: what KVM_CREATE_VM returned; 0 if shared */
	__u32 flags; /* IN: DUNE_HOLD_* */
};

/* DUNE_GET_STATE and DUNE_SET_STATE: which groups to read or write. */
#define DUNE_STATE_REGS (1ULL << 0) /* gpr, rip, rflags */
#define DUNE_STATE_SEGMENTS (1ULL << 1) /* cs, ss, the three bases */
#define DUNE_STATE_SYSTEM (1ULL << 2) /* cr*, tables, tss, lstar */
#define DUNE_STATE_ALL                                                         \
	(DUNE_STATE_REGS | DUNE_STATE_SEGMENTS | DUNE_STATE_SYSTEM)

struct dune_state {
	__u64 groups; /* IN: DUNE_STATE_* */
	__u64 gpr[DUNE_NR_GPRS];
	__u64 rip;
	__u64 rflags; /* IF, VM, NT and reserved bits are checked */

	__u16 cs; /* SET: CODE0 with DATA0, or CODE3 with DATA3 */
	__u16 ss;
	__u32 pad0;
	__u64 fs_base;
	__u64 gs_base;
	__u64 kernel_gs_base;

	__u64 cr0;
	__u64 cr2;
	__u64 cr3; /* a guest-physical address */
	__u64 cr4;
	__u64 lstar;
	__u64 gdt_base; /* guest-virtual */
	__u64 idt_base;
	__u64 tss_base;
	__u32 gdt_limit;
	__u32 idt_limit;
	__u32 tss_limit;
	__u32 pad1;
	/*
	 * OUT, with REGS: the exception that the next entry delivers before
	 * anything else, DUNE_INJECT_VALID and its vector; or 0. To write REGS
	 * drops it: a fault comes again, but the trap of an instruction that is
	 * done does not.
	 */
	__u64 event;
	__u64 reserved[7];
};

/* DUNE_GET_STATS, on a vm (sum over its vcpus, past ones too) or a vcpu. */
enum dune_stat {
	DUNE_STAT_EXITS,
	DUNE_STAT_EXIT_HYPERCALL,
	DUNE_STAT_EXIT_MEMORY, /* EPT violations, solved or not */
	DUNE_STAT_EXIT_CPUID,
	DUNE_STAT_EXIT_INTERRUPT,
	DUNE_STAT_EXIT_NMI,
	DUNE_STAT_EXIT_EXCEPTION,
	DUNE_STAT_EXIT_MSR,
	DUNE_STAT_EXIT_CR,
	DUNE_STAT_EXIT_DENIED, /* instructions answered with #UD or #GP */
	DUNE_STAT_EXIT_OTHER,
	DUNE_STAT_RETURNS, /* exits that went back to the caller */
	DUNE_STAT_VMCS_ACCESSES, /* VMREAD and VMWRITE on the run path */
	DUNE_STAT_VMCS_LOADS, /* VMPTRLD */
	DUNE_STAT_MSR_WRITES,
	DUNE_STAT_TLB_FLUSHES, /* INVEPT */
	DUNE_STAT_EPT_MAPPED, /* entries made */
	DUNE_STAT_EPT_ZAPPED, /* entries taken back by the host */
	DUNE_STAT_EPT_PAGES, /* pages that hold the EPT now */
	DUNE_STAT_INJECTIONS, /* events delivered at an entry */
	DUNE_STAT_FAILED_ENTRIES, /* entries that the CPU refused */
	DUNE_STAT_NR
};
#define DUNE_STATS_MAX 32

struct dune_stats {
	__u64 value[DUNE_STATS_MAX]; /* OUT: by enum dune_stat; the rest zero */
};

/* DUNE_GET_EXITS, on a vm or a vcpu likewise: each exit, by what the CPU says. */
#define DUNE_EXITS_MAX 96

struct dune_exits {
	__u64 count[DUNE_EXITS_MAX]; /* OUT: by basic exit reason */
};

/* On /dev/dune. */
#define DUNE_GET_CAPS _IOR(0xDE, 0x00, struct dune_caps)
#define DUNE_HOLD_KVM _IOW(0xDE, 0x01, struct dune_hold_kvm)
#define DUNE_SET_TILE _IOW(0xDE, 0x02, struct dune_tile)
#define DUNE_CREATE_VCPU _IO(0xDE, 0x03) /* returns a vcpu fd, O_CLOEXEC */
/* After the guest's tables lost rights: no vcpu keeps an old translation. */
#define DUNE_FLUSH_TLB _IO(0xDE, 0x04)
/* On both. */
#define DUNE_GET_STATS _IOR(0xDE, 0x05, struct dune_stats)
#define DUNE_GET_EXITS _IOR(0xDE, 0x06, struct dune_exits)
/* On a vcpu. */
#define DUNE_RUN _IO(0xDE, 0x10)
#define DUNE_GET_STATE _IOWR(0xDE, 0x11, struct dune_state)
#define DUNE_SET_STATE _IOW(0xDE, 0x12, struct dune_state)

#endif /* __ASSEMBLY__ */
#endif /* DUNE_ABI_H */
