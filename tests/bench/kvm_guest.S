/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Code that kvm.c runs in its guest: 32-bit protected mode, no paging. ecx says
 * how often, edi points to the pages. It ends with a write to KVM_DONE_PORT.
 */
#include "kvm_guest.h"

	.section .rodata
	.code32

	.globl kvm_guest_code, kvm_guest_code_end
kvm_guest_code:

/* One exit to user space each. */
	.globl kvm_guest_out
kvm_guest_out:
	jecxz	done
1:	out	%al, $KVM_CALL_PORT
	loop	1b
	jmp	done

/* One exit that KVM answers itself: a hypercall that it does not know. */
	.globl kvm_guest_vmcall
kvm_guest_vmcall:
	jecxz	done
1:	mov	$0x7fffffff, %eax
	vmcall
	loop	1b
	jmp	done

	.globl kvm_guest_write
kvm_guest_write:
	jecxz	done
1:	movb	$1, (%edi)
	add	$4096, %edi
	loop	1b
	jmp	done

	.globl kvm_guest_write_odd
kvm_guest_write_odd:
	jecxz	done
1:	movb	$1, 4096(%edi)
	add	$8192, %edi
	loop	1b
	jmp	done

	.globl kvm_guest_read
kvm_guest_read:
	jecxz	done
1:	movb	(%edi), %al
	add	$4096, %edi
	loop	1b

done:
	out	%al, $KVM_DONE_PORT
	jmp	done
kvm_guest_code_end:

	.section .note.GNU-stack, "", @progbits
