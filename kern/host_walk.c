// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading the host's page tables, and making the host fill them. Called by
 * ept_fault.c. The leaf itself gives frame, size, rights and memory type, so that
 * anonymous memory, files, huge pages and PFN maps are all one path, and no
 * page reference is taken.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>
#include <asm/asm.h>
#include <asm/mmu_context.h>
#include <asm/msr.h>
#include <asm/vmx.h>

#include "compat.h"
#include "cpu_insn.h"
#include "ept_entry.h"
#include "host_walk.h"

/* ept_entry_memory_type() for each of the eight PAT entries. */
static u8 memory_type_of_pat[8];

/* Called once, at load: Linux never changes IA32_PAT afterwards. */
void host_walk_init(void)
{
	u64 pat;
	int i;

	pat = cpu_read_msr(MSR_IA32_CR_PAT);
	for (i = 0; i < 8; i++) {
		u8 type = (pat >> (8 * i)) & 7;

		/* UC- has no number in EPT; without MTRRs it is UC. */
		type = type == 7 ? 0 : type;
		memory_type_of_pat[i] = ept_entry_memory_type(type);
	}
}

static u8 memory_type(u64 flags, int level)
{
	u64 pat_bit = level == 1 ? _PAGE_PAT : _PAGE_PAT_LARGE;
	int index = 0;

	if (likely(!(flags & (_PAGE_PWT | _PAGE_PCD | pat_bit))))
		return memory_type_of_pat[0];
	if (flags & _PAGE_PWT)
		index |= 1;
	if (flags & _PAGE_PCD)
		index |= 2;
	if (flags & pat_bit)
		index |= 4;
	return memory_type_of_pat[index];
}

/* _PAGE_PRESENT alone: PROT_NONE and NUMA hints are not there. */
static inline bool entry_usable(u64 entry)
{
	return (entry & (_PAGE_PRESENT | _PAGE_USER)) ==
	       (_PAGE_PRESENT | _PAGE_USER);
}

/*
 * The leaf entry for @hva, its value and its level; NULL if there is none. The
 * tables in the hardware's own terms: the generic accessors check what only a
 * broken kernel would have, at four times the price. Interrupts are off.
 */
static __always_inline const u64 *leaf_find(struct mm_struct *mm,
					    unsigned long hva, u64 *value,
					    int *level)
{
	const u64 *table = (u64 *)mm->pgd;
	int l;

	for (l = pgtable_l5_enabled() ? 5 : 4;; l--) {
		int shift = PAGE_SHIFT + 9 * (l - 1);
		const u64 *entry = &table[(hva >> shift) & (PTRS_PER_PTE - 1)];

		*value = READ_ONCE(*entry);
		if (!entry_usable(*value))
			return NULL;
		if (l == 1 || (*value & _PAGE_PSE)) {
			*level = l;
			return entry;
		}
		table = __va(*value & PTE_PFN_MASK);
	}
}

/*
 * Rights are the leaf's alone, since Linux restricts nothing higher up (what
 * page-table isolation adds there is not meant for user mode).
 */
static __always_inline void leaf_read(struct host_leaf *leaf, u64 entry,
				      int level)
{
	leaf->level = level;
	leaf->pa = entry & PTE_PFN_MASK & ~(ept_level_size(level) - 1);
	leaf->memory_type = memory_type(entry, level);
	leaf->rwx = VMX_EPT_READABLE_MASK;
	/* A clean page must fault on a write, or the host never learns of it. */
	if ((entry & (_PAGE_RW | _PAGE_DIRTY)) == (_PAGE_RW | _PAGE_DIRTY))
		leaf->rwx |= VMX_EPT_WRITABLE_MASK;
	if (!(entry & _PAGE_NX))
		leaf->rwx |= VMX_EPT_EXECUTABLE_MASK;
}

/**
 * host_walk - read the leaf that maps an address
 * @mm: whose tables
 * @hva: a user address
 * @leaf: filled in
 *
 * Context: interrupts on. They are off while the tables are read, which keeps
 * those from being freed, as it does for get_user_pages_fast().
 * Return: 0, or -EFAULT if nothing is present there.
 */
int host_walk(struct mm_struct *mm, unsigned long hva, struct host_leaf *leaf)
{
	u64 value;
	int level, err = -EFAULT;

	local_irq_disable();
	if (leaf_find(mm, hva, &value, &level)) {
		leaf_read(leaf, value, level);
		err = 0;
	}
	local_irq_enable();
	return err;
}

/**
 * host_walk_window - read what is mapped in the window around an address
 * @mm: whose tables
 * @hva: a user address
 * @leaves: filled in, page by page; level 0 where there is nothing, or nothing
 *	    in use: reclaim would else take all neighbours of a page for used
 *
 * Context: as host_walk(). Return: false if no page of 4 KiB maps the address.
 */
bool host_walk_window(struct mm_struct *mm, unsigned long hva,
		      struct host_leaf leaves[HOST_WINDOW])
{
	const u64 *entry;
	bool found;
	u64 value;
	int level, i;

	local_irq_disable();
	entry = leaf_find(mm, hva, &value, &level);
	found = entry && level == 1;
	if (found) {
		entry -= (hva >> PAGE_SHIFT) % HOST_WINDOW;
		for (i = 0; i < HOST_WINDOW; i++) {
			value = READ_ONCE(entry[i]);
			if (entry_usable(value) && (value & _PAGE_ACCESSED))
				leaf_read(&leaves[i], value, 1);
			else
				leaves[i].level = 0;
		}
	}
	local_irq_enable();
	return found;
}

static bool access_allowed(struct vm_area_struct *vma, u32 access)
{
	bool write = access & VMX_EPT_WRITABLE_MASK;
	bool execute = access & VMX_EPT_EXECUTABLE_MASK;

	/* Of a shadow stack VM_WRITE means CALL and RET, not stores. */
	if (write && (vma->vm_flags & (VM_WRITE | VM_SHADOW_STACK)) != VM_WRITE)
		return false;
	if (execute && !(vma->vm_flags & VM_EXEC))
		return false;
	return (vma->vm_flags & (VM_READ | VM_WRITE | VM_EXEC)) &&
	       arch_vma_access_permitted(vma, write, execute, false);
}

/* An atomic OR with 0: the access of a write, and no other effect. */
static int touch_write(u8 __user *address)
{
	int err = 0;

	if (!user_access_begin(address, 1))
		return -EFAULT;
	/* clang-format off */
	asm volatile("1:	lock; orb $0, (%[address])\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_EFAULT_REG, %[err])
		     : [err] "+r"(err)
		     : [address] "r"(address)
		     : "memory", "cc");
	/* clang-format on */
	user_access_end();
	return err;
}

static int touch_read(u8 __user *address)
{
	u8 __maybe_unused value;

	return get_user(value, address);
}

/*
 * The fault without the exception: most of them need no more. False: what it
 * means is for the host's own fault path to say.
 */
static bool fault_directly(unsigned long hva, u32 access)
{
	unsigned int flags = FAULT_FLAG_DEFAULT;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	vm_fault_t result;

	if (access & VMX_EPT_WRITABLE_MASK)
		flags |= FAULT_FLAG_WRITE;
	if (access & VMX_EPT_EXECUTABLE_MASK)
		flags |= FAULT_FLAG_INSTRUCTION;

	for (;;) {
		if (mmap_read_lock_killable(mm))
			return true; /* the caller looks at signals */
		vma = find_vma(mm, hva);
		if (!vma || hva < vma->vm_start ||
		    !access_allowed(vma, access)) {
			mmap_read_unlock(mm);
			return false;
		}
		/* An unprivileged userfaultfd serves user mode's alone. */
		if (unlikely(userfaultfd_armed(vma)))
			flags |= FAULT_FLAG_USER;
		result = handle_mm_fault(vma, hva, flags, NULL);
		if (result & VM_FAULT_COMPLETED)
			return true;
		if (!(result & VM_FAULT_RETRY))
			break;
		if (signal_pending(current))
			return true; /* likewise */
		flags |= FAULT_FLAG_TRIED;
	}
	mmap_read_unlock(mm);
	if (unlikely(result & VM_FAULT_OOM)) {
		/* As in user mode: it tries again, until there is memory or it is killed. */
		schedule_timeout_interruptible(1);
		return true;
	}
	return !(result & VM_FAULT_ERROR);
}

/**
 * host_touch - make the access that the guest tried, on its behalf
 * @hva: where
 * @access: VMX_EPT_*_MASK
 *
 * Where the short way does not do, a real access goes through the host's own
 * fault path, and so means what it would mean for the process itself: stack
 * growth, userfaultfd, protection keys, and whatever comes next.
 *
 * Context: a thread of that mm; may sleep.
 * Return: 0: try again; -EINTR: a signal came first; -EFAULT: the process may not.
 */
int host_touch(unsigned long hva, u32 access)
{
	u8 __user *address = (u8 __user *)hva;
	int err;

	if (likely(fault_directly(hva, access)))
		return 0;
	if (access & VMX_EPT_WRITABLE_MASK)
		err = touch_write(address);
	else
		err = touch_read(address);
	if (err && fatal_signal_pending(current))
		return -EINTR;
	if (!err && (access & VMX_EPT_EXECUTABLE_MASK)) {
		struct host_leaf leaf;

		/* Fetching from where no code may run is not cured by a read. */
		if (!host_walk(current->mm, hva, &leaf) &&
		    !(leaf.rwx & VMX_EPT_EXECUTABLE_MASK))
			return -EFAULT;
	}
	return err;
}
