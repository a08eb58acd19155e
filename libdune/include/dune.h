/* SPDX-License-Identifier: MIT */
/*
 * libdune: privileged CPU features for an ordinary process.
 *
 * A thread that calls dune_enter() returns in VMX non-root ring 0, on the same
 * stack, with the same memory, files and signals; libc goes on working, since
 * its system calls leave as hypercalls that the same thread then makes.
 *
 * Every function returns >= 0, or -errno, and never prints or exits; the one
 * exception is a fault in ring 0 that nobody handles, which ends the process
 * as Linux would (SIGSEGV, SIGBUS, SIGFPE, SIGILL …) after one line on stderr.
 *
 * Ring 0 owns the GS base of its threads; FS (thread-local storage) is the
 * program's own.
 */
#ifndef DUNE_H
#define DUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Life cycle ------------------------------------------------------- */

/* What this process's Dune can do; see dune_get_info(). */
struct dune_info {
	uint32_t abi_version; /* of the module */
	uint32_t nr_tiles;    /* 1 GiB pieces that can be visible at once */
	bool kvm_held;	      /* KVM keeps VMX on; otherwise the module does */
	bool guest_1g_pages;
};

/* What happened in the module since dune_init(); counts, not times. */
struct dune_counts {
	uint64_t exits, hypercalls, ept_faults, interrupts;
	uint64_t returns; /* exits that went back to the host loop */
	uint64_t msr_writes, vmcs_accesses, vmcs_loads, tlb_flushes;
	uint64_t cpuid, ept_mapped, ept_zapped, ept_pages;
};

/*
 * Opens /dev/dune and prepares the process: page tables, IDT, host loop.
 * Call once, outside, before dune_enter(). -ENOENT: the module is not loaded;
 * -EACCES: /dev/dune may not be opened; -EPROTO: the module speaks another ABI
 * version; -EALREADY: called before; others: dune_init(3).
 */
int dune_init(void);

/*
 * Puts the calling thread into ring 0; returns there. Threads and children
 * that it makes from then on are inside, too. 0, or -errno outside: -EBUSY and
 * -EOPNOTSUPP: VMX is not to be had; others: dune_enter(3). While a
 * thread is inside, only threads inside may change how signals are handled.
 */
int dune_enter(void);

/* Back to an ordinary thread, from ring 0; returns outside, on the same stack. */
int dune_leave(void);

/* True in ring 0 or 3 of the guest. Any context. */
bool dune_inside(void);

int dune_get_info(struct dune_info *info);
int dune_get_counts(struct dune_counts *counts);

/* ---- Traps ------------------------------------------------------------ */

/*
 * Everything the trap path saved; a handler may change any of it, and the
 * interrupted code goes on with what it finds. cs tells the ring.
 */
struct dune_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx; /* callee-saved */
	uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t fs_base; /* of ring 3; not used where ring 0 was interrupted */
	uint64_t vector;  /* DUNE_VECTOR_SYSCALL for a system call */
	uint64_t error;	  /* error code, 0 where the exception has none */
	uint64_t rip, cs, rflags, rsp, ss;
};

#define DUNE_VECTOR_SYSCALL 256
#define DUNE_NR_VECTORS	    32

static inline bool dune_frame_is_user(const struct dune_frame *frame)
{
	return frame->cs & 3;
}

/*
 * Called in ring 0 on the trap stack, with the thread's FS base and AC clear.
 * Built with -mgeneral-regs-only it may run as it is; a handler that may touch
 * SSE or AVX (or calls libc) is set with DUNE_SAVE_FPU. It must return: no
 * longjmp out of it; use dune_frame_resume_at() or dune_ring3_stop().
 */
typedef void (*dune_handler)(struct dune_frame *frame);

#define DUNE_SAVE_FPU (1u << 0)

/*
 * For an exception (vector < 32) from either ring. NULL restores the default:
 * from ring 0 the signal that Linux would send, from ring 3 the same as
 * dune_ring3_stop() with the frame's vector. -EINVAL: no such vector or flag.
 */
int dune_set_handler(unsigned vector, dune_handler handler, unsigned flags);

/*
 * For `syscall` from ring 3: number in frame->rax, arguments in rdi rsi rdx
 * r10 r8 r9, result to frame->rax. Without a handler every call is -ENOSYS.
 */
int dune_set_syscall_handler(dune_handler handler, unsigned flags);

/* CR2: the address of the page fault being handled. Ring 0. */
uint64_t dune_fault_address(void);

/* Makes the interrupted ring-0 code go on at rip with this stack. */
void dune_frame_resume_at(struct dune_frame *frame, uint64_t rip, uint64_t rsp);

/* ---- Ring 3 ----------------------------------------------------------- */

/*
 * Reserves address space that ring 3 may use: everything that is mapped inside
 * (mmap with MAP_FIXED, mprotect …) is visible to ring 3 with the rights that
 * the mapping has, and ring 0 reaches it only between dune_user_begin() and
 * dune_user_end() (SMAP) and never executes it (SMEP). start and bytes are
 * multiples of 1 GiB; start 0 lets the library choose. Nothing is mapped yet
 * (PROT_NONE, except with DUNE_ARENA_KEEP: the range stays as it is).
 * Returns 0, -EINVAL, -EEXIST (overlaps an arena or what ring 0 needs), -ENOMEM,
 * -ESTALE (dune_init(3)); after an error ring 3 may use no more than before.
 */
#define DUNE_ARENA_BYTES (1ull << 30) /* granule */
#define DUNE_ARENA_KEEP	 (1u << 0)
int dune_arena_create(uintptr_t start, size_t bytes, unsigned flags, void **arena);

/* True if [address, address + bytes) lies in one arena; overflow-safe. */
bool dune_arena_contains(uint64_t address, uint64_t bytes);

/* Lets ring 0 touch arena memory (STAC, CLAC). Ring 0. Do not nest. */
static inline void dune_user_begin(void)
{
	__asm__ volatile("stac" ::: "memory", "cc");
}

static inline void dune_user_end(void)
{
	__asm__ volatile("clac" ::: "memory", "cc");
}

/*
 * Copies between ring 0 and an arena. -EFAULT, and nothing else happens, if the
 * arena side is not wholly in an arena or faults half way. Ring 0.
 */
int dune_copy_from_user(void *to, uint64_t user_from, size_t bytes);
int dune_copy_to_user(uint64_t user_to, const void *from, size_t bytes);

/* How a run of ring-3 code ended. */
struct dune_ring3_end {
	uint64_t value;	       /* what it returned, or what dune_ring3_stop() was told */
	uint32_t vector;       /* DUNE_VECTOR_SYSCALL, or the exception that ended it */
	uint32_t error;	       /* error code of the exception */
	uint64_t rip, address; /* where, and CR2 for a page fault */
};

/*
 * Runs ring-3 code with all general registers as in *frame (rip, rsp, rflags,
 * fs_base and the rest; cs and ss are set by the library), until
 * dune_ring3_stop(). Vector state goes through as it is. Nests: a handler may
 * call it again. 0; the reason in *end. Ring 0.
 */
int dune_ring3_run(const struct dune_frame *frame, struct dune_ring3_end *end);

/*
 * Calls function(a, b, c) in ring 3 on the stack below stack_top (both in an
 * arena) and returns what it returns in *value. 0; -EFAULT if it ended by a
 * fault (*end, may be NULL, tells which). Ring 0. The cheap way in and out.
 */
int dune_ring3_call(uint64_t function, uint64_t stack_top, uint64_t a, uint64_t b, uint64_t c,
		    uint64_t *value, struct dune_ring3_end *end);

/* From a handler, with its own frame: the ring-3 run or call that it interrupted, the
 * innermost of this thread, ends now; takes effect when the handler returns. */
void dune_ring3_stop(struct dune_frame *frame, uint64_t value);

/* ---- Page tables ------------------------------------------------------ */

#define DUNE_PROT_READ	1u
#define DUNE_PROT_WRITE 2u
#define DUNE_PROT_EXEC	4u
#define DUNE_PROT_USER	8u /* ring 3 too */

/*
 * Rights of the guest's page tables for [address, address + bytes), 4 KiB
 * granular, on top of what the process's own mappings allow. Splits larger
 * entries as needed. Stale TLB entries of this thread are flushed; those of
 * others with dune_flush_tlb(). -EINVAL, -ENOMEM, -ESTALE (dune_init(3)). Ring 0
 * or outside. They last while anything is mapped in that 1 GiB; an arena made
 * there, or a fork child that has nothing there, begins anew.
 */
int dune_protect(void *address, size_t bytes, unsigned prot);

/* The 4 KiB entry that maps address, splitting as needed; NULL, no memory.
 * The caller may change it with plain stores, then dune_invlpg(). */
uint64_t *dune_pte(void *address);

#define DUNE_PTE_PRESENT  (1ull << 0)
#define DUNE_PTE_WRITE	  (1ull << 1)
#define DUNE_PTE_USER	  (1ull << 2)
#define DUNE_PTE_ACCESSED (1ull << 5)
#define DUNE_PTE_DIRTY	  (1ull << 6)
#define DUNE_PTE_NX	  (1ull << 63)

static inline void dune_invlpg(void *address)
{
	__asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}

/* No thread of the process keeps a translation from before this call. */
int dune_flush_tlb(void);

/* ---- System calls from ring 0 ------------------------------------------ */

/* Makes the call by way of the host loop; the raw result, -4095 … -1 errors. nr counts
 * as in Linux: its lower half. The x32 calls (0x40000000 …) are -ENOSYS inside. */
long dune_syscall(long nr, long a, long b, long c, long d, long e, long f);

#ifdef __cplusplus
}
#endif
#endif /* DUNE_H */
