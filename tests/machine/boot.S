/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The emulated machine's boot loader: a disk that starts the kernel in the fewest instructions.
 *
 * A general boot loader reads the disk through the BIOS and the kernel then decompresses itself,
 * which together cost the emulator more than the whole rest of the boot. Here `run` has the
 * kernel decompressed already, and this file reads it and the initial file system straight from
 * the ATA port to where they belong, asks the BIOS for the memory map and enters the kernel in
 * long mode by the 64-bit boot protocol (Documentation/arch/x86/boot.rst).
 *
 * `run` assembles it with the layout of its disk:
 *   KERNEL_LBA, KERNEL_SECTORS, KERNEL_ADDRESS, KERNEL_ENTRY   the decompressed kernel
 *   INITRD_LBA, INITRD_SECTORS, INITRD_ADDRESS, INITRD_BYTES   the initial file systems
 *   SETUP (file), SETUP_BYTES   the setup header of the kernel, bytes 0x1f1 on of its first sector
 *   COMMAND_LINE (file)
 *
 * Disk:    sector 0  this code;  1..23  the rest of it with boot_params, then kernel, initrd
 * Memory:  0x7c00    the same;   0x70000  page tables: PML4, PDPT, 4 page directories
 */

#define PAGE_TABLES	0x70000
#define LOADER_SECTORS	24

/* GDT: the boot protocol wants __BOOT_CS = 0x10 and __BOOT_DS = 0x18. */
#define CODE32		0x08
#define CODE64		0x10
#define DATA		0x18

/* The primary ATA channel. */
#define ATA_DATA	0x1f0
#define ATA_COUNT	0x1f2
#define ATA_LBA_LOW	0x1f3
#define ATA_LBA_MIDDLE	0x1f4
#define ATA_LBA_HIGH	0x1f5
#define ATA_DRIVE	0x1f6
#define ATA_COMMAND	0x1f7
#define ATA_CONTROL	0x3f6
#define ATA_READ_SECTORS 0x20
#define ATA_MASTER_LBA	0xe0
#define ATA_BUSY	0x80
#define ATA_DATA_READY	0x08
#define ATA_NO_INTERRUPT 0x02

/* Fields of struct boot_params. */
#define E820_ENTRIES	0x1e8
#define SETUP_HEADER	0x1f1
#define TYPE_OF_LOADER	0x210
#define RAMDISK_IMAGE	0x218
#define RAMDISK_SIZE	0x21c
#define CMD_LINE_PTR	0x228
#define E820_TABLE	0x2d0
#define E820_ENTRY_SIZE	20
#define E820_MAX	128

	.code16
	.globl start
start:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	ljmp $0, $1f
1:
	movb $0x42, %ah			/* extended read: the rest of the loader */
	movw $rest_of_loader, %si
	int $0x13
	jc failed
	jmp stage2

failed:
	movb $'!', %al
	outb %al, $0xe9
	hlt
	jmp failed

	.balign 4
rest_of_loader:
	.byte 16, 0
	.word LOADER_SECTORS - 1
	.word stage2, 0			/* offset, segment */
	.quad 1				/* first sector */

	.org start + 510
	.word 0xaa55

stage2:
	/* The memory map, by BIOS function E820. */
	xorl %ebx, %ebx
	movw $boot_params + E820_TABLE, %di
next_range:
	movl $0xe820, %eax
	movl $0x534d4150, %edx		/* "SMAP" */
	movl $E820_ENTRY_SIZE, %ecx
	int $0x15
	jc map_done
	addw $E820_ENTRY_SIZE, %di
	incb boot_params + E820_ENTRIES
	cmpb $E820_MAX, boot_params + E820_ENTRIES
	je map_done
	testl %ebx, %ebx
	jnz next_range
map_done:
	inb $0x92, %al			/* the A20 line */
	orb $2, %al
	outb %al, $0x92
	lgdt gdt_register
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmp $CODE32, $protected

	.code32
protected:
	movw $DATA, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	cld

	movw $ATA_CONTROL, %dx
	movb $ATA_NO_INTERRUPT, %al
	outb %al, %dx
	movl $KERNEL_LBA, %ebx
	movl $KERNEL_SECTORS, %ebp
	movl $KERNEL_ADDRESS, %edi
	call read_disk
	movl $INITRD_LBA, %ebx
	movl $INITRD_SECTORS, %ebp
	movl $INITRD_ADDRESS, %edi
	call read_disk

	/* Map the first 4 GiB one to one with 2 MiB pages. */
	movl $PAGE_TABLES, %edi
	xorl %eax, %eax
	movl $6 * 4096 / 4, %ecx
	rep stosl
	movl $PAGE_TABLES + 0x1003, PAGE_TABLES
	movl $PAGE_TABLES + 0x2003, PAGE_TABLES + 0x1000
	movl $PAGE_TABLES + 0x3003, PAGE_TABLES + 0x1008
	movl $PAGE_TABLES + 0x4003, PAGE_TABLES + 0x1010
	movl $PAGE_TABLES + 0x5003, PAGE_TABLES + 0x1018
	movl $PAGE_TABLES + 0x2000, %edi
	movl $0x83, %eax		/* present, writable, large */
1:
	movl %eax, (%edi)
	addl $8, %edi
	addl $0x200000, %eax
	jnc 1b

	/* Long mode. */
	movl $0x20, %eax		/* CR4.PAE */
	movl %eax, %cr4
	movl $PAGE_TABLES, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		/* EFER.LME */
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	ljmp $CODE64, $long_mode

/* Read %ebp sectors from sector %ebx to %edi, at most 256 with each command. */
read_disk:
	testl %ebp, %ebp
	jz 4f
	movl $256, %esi
	cmpl %esi, %ebp
	cmovb %ebp, %esi
	subl %esi, %ebp
	movl %esi, %eax			/* a count of 0 stands for 256 */
	movw $ATA_COUNT, %dx
	outb %al, %dx
	movl %ebx, %eax
	incl %edx			/* ATA_LBA_LOW */
	outb %al, %dx
	shrl $8, %eax
	incl %edx			/* ATA_LBA_MIDDLE */
	outb %al, %dx
	shrl $8, %eax
	incl %edx			/* ATA_LBA_HIGH */
	outb %al, %dx
	shrl $8, %eax
	orb $ATA_MASTER_LBA, %al
	incl %edx			/* ATA_DRIVE */
	outb %al, %dx
	movb $ATA_READ_SECTORS, %al
	incl %edx			/* ATA_COMMAND */
	outb %al, %dx
	addl %esi, %ebx
2:
	movw $ATA_COMMAND, %dx		/* reading it gives the status */
3:
	inb %dx, %al
	andb $ATA_BUSY | ATA_DATA_READY, %al
	cmpb $ATA_DATA_READY, %al
	jne 3b
	movw $ATA_DATA, %dx
	movl $512 / 4, %ecx
	rep insl
	decl %esi
	jnz 2b
	jmp read_disk
4:
	ret

	.code64
long_mode:
	movw $DATA, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $boot_params, %esi
	movl $KERNEL_ENTRY, %eax
	jmp *%rax

	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9a000000ffff	/* CODE32 */
	.quad 0x00af9a000000ffff	/* CODE64 */
	.quad 0x00cf92000000ffff	/* DATA */
gdt_register:
	.word . - gdt - 1
	.long gdt

	.org start + 1024
boot_params:
	.org boot_params + SETUP_HEADER
	.incbin SETUP, 0, TYPE_OF_LOADER - SETUP_HEADER
	.byte 0xff			/* a loader without a number of its own */
	.incbin SETUP, 0x211 - SETUP_HEADER, RAMDISK_IMAGE - 0x211
	.long INITRD_ADDRESS
	.long INITRD_BYTES
	.incbin SETUP, 0x220 - SETUP_HEADER, CMD_LINE_PTR - 0x220
	.long command_line
	.incbin SETUP, 0x22c - SETUP_HEADER, SETUP_BYTES - (0x22c - SETUP_HEADER)
	.org boot_params + 4096
command_line:
	.incbin COMMAND_LINE
	.byte 0
	.org start + LOADER_SECTORS * 512
