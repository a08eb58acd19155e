// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same operations by way of /dev/kvm: a guest that makes system calls by
 * leaving to user space, and that touches memory of the process.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "kvm_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { CODE_GPA = 0x1000, PAGES_GPA = 0x400000, LARGE_GPA = 0x40000000 };

struct machine {
	int vm, vcpu, stats;
	off_t exits_offset; /* of the count of exits in the statistics */
	struct kvm_run *run;
	char *pages, *large;
	const char *code; /* what this operation runs … */
	uint64_t gpa;	  /* … and where */
};

static void set_memory(struct machine *machine, unsigned slot, uint64_t gpa, void *memory,
		       size_t bytes)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = bytes,
		.userspace_addr = (uintptr_t)memory,
	};

	if (ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &region))
		bench_fail("KVM_SET_USER_MEMORY_REGION");
}

static struct kvm_segment flat_segment(unsigned type, unsigned selector)
{
	return (struct kvm_segment){ .limit = 0xffffffff,
				     .selector = selector,
				     .type = type,
				     .present = 1,
				     .db = 1,
				     .s = 1,
				     .g = 1 };
}

static void set_protected_mode(struct machine *machine)
{
	struct kvm_sregs sregs;

	if (ioctl(machine->vcpu, KVM_GET_SREGS, &sregs))
		bench_fail("KVM_GET_SREGS");
	sregs.cs = flat_segment(11, 8);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat_segment(3, 16);
	sregs.cr0 |= 1;
	if (ioctl(machine->vcpu, KVM_SET_SREGS, &sregs))
		bench_fail("KVM_SET_SREGS");
}

/* Where the binary statistics keep "exits". */
static void open_stats(struct machine *machine)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *desc;

	machine->stats = ioctl(machine->vcpu, KVM_GET_STATS_FD, 0);
	if (machine->stats < 0 || pread(machine->stats, &header, sizeof(header), 0) < 0)
		bench_fail("KVM_GET_STATS_FD");
	desc = malloc(sizeof(*desc) + header.name_size);
	for (unsigned i = 0; desc && i < header.num_desc; i++) {
		size_t bytes = sizeof(*desc) + header.name_size;

		if (pread(machine->stats, desc, bytes, header.desc_offset + i * bytes) < 0)
			bench_fail("kvm statistics");
		if (!strcmp(desc->name, "exits"))
			machine->exits_offset = header.data_offset + desc->offset;
	}
	free(desc);
}

static void count_exits(void *context, struct bench_counts *counts)
{
	struct machine *machine = context;
	uint64_t exits = 0;

	if (pread(machine->stats, &exits, sizeof(exits), machine->exits_offset) < 0)
		bench_fail("kvm statistics");
	counts->exits = exits;
}

static void run_guest(void *context, unsigned long n)
{
	struct machine *machine = context;
	struct kvm_regs regs = {
		.rip = CODE_GPA + (machine->code - kvm_guest_code),
		.rcx = n,
		.rdi = machine->gpa,
		.rflags = 2,
	};

	if (ioctl(machine->vcpu, KVM_SET_REGS, &regs))
		bench_fail("KVM_SET_REGS");
	do {
		if (ioctl(machine->vcpu, KVM_RUN, 0) || machine->run->exit_reason != KVM_EXIT_IO)
			bench_fail("KVM_RUN");
		if (machine->run->io.port == KVM_CALL_PORT)
			syscall(SYS_getpid);
	} while (machine->run->io.port != KVM_DONE_PORT);
}

static void prepare_drop(void *context, unsigned long n)
{
	bench_pages_drop(((struct machine *)context)->pages, n);
}

static void prepare_populate(void *context, unsigned long n)
{
	bench_pages_populate(((struct machine *)context)->pages, n);
}

static void prepare_populate_odd(void *context, unsigned long n)
{
	bench_pages_populate_odd(((struct machine *)context)->pages, n);
}

/* The guest has all of it. */
static void prepare_large_read(void *context, unsigned long n)
{
	if (n)
		run_guest(context, BENCH_LARGE_PAGES);
}

static void create_machine(struct machine *machine)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	char *code = mmap(NULL, BENCH_PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (kvm < 0 && errno == ENOENT) {
		fputs("bench: no /dev/kvm here, so no rows for kvm\n", stderr);
		_exit(0);
	}
	if (kvm < 0)
		bench_fail("/dev/kvm");
	if (code == MAP_FAILED)
		bench_fail("mmap");
	machine->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (machine->vm < 0)
		bench_fail("KVM_CREATE_VM");
	machine->vcpu = ioctl(machine->vm, KVM_CREATE_VCPU, 0);
	if (machine->vcpu < 0)
		bench_fail("KVM_CREATE_VCPU");
	machine->run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
			    MAP_SHARED, machine->vcpu, 0);
	if (machine->run == MAP_FAILED)
		bench_fail("mmap of the vcpu");
	memcpy(code, kvm_guest_code, kvm_guest_code_end - kvm_guest_code);
	set_memory(machine, 0, CODE_GPA, code, BENCH_PAGE_BYTES);
	machine->pages = bench_pages();
	set_memory(machine, 1, PAGES_GPA, machine->pages, BENCH_PAGES * BENCH_PAGE_BYTES);
	machine->large = bench_large();
	set_memory(machine, 2, LARGE_GPA, machine->large, BENCH_LARGE_PAGES * BENCH_PAGE_BYTES);
	set_protected_mode(machine);
	open_stats(machine);
}

void bench_kvm(struct bench_table *table)
{
	struct machine machine = { 0 };
	const struct {
		const char *operation, *code;
		uint64_t gpa;
		unsigned long n;
		void (*prepare)(void *context, unsigned long n);
		void (*run)(void *context, unsigned long n);
		int once;
	} rows[] = {
		{ "hypercall_getpid", kvm_guest_out, 0, BENCH_CALLS, NULL, run_guest, 0 },
		{ "module_exit", kvm_guest_vmcall, 0, BENCH_CALLS, NULL, run_guest, 0 },
		{ "ept_fault_in_order", kvm_guest_write, PAGES_GPA, BENCH_TOUCHES, prepare_populate,
		  run_guest, 0 },
		{ "first_touch_write", kvm_guest_write, PAGES_GPA, BENCH_TOUCHES, prepare_drop,
		  run_guest, 0 },
		{ "first_touch_read", kvm_guest_read, PAGES_GPA, BENCH_TOUCHES, prepare_drop,
		  run_guest, 0 },
		{ "ept_fault", kvm_guest_write_odd, PAGES_GPA, BENCH_TOUCHES, prepare_populate_odd,
		  run_guest, 0 },
		{ "touch_1g_page", kvm_guest_write, LARGE_GPA, BENCH_LARGE_PAGES, NULL, run_guest,
		  1 },
		{ "fork_1g", kvm_guest_read, LARGE_GPA, 1, prepare_large_read, bench_fork, 1 },
	};

	create_machine(&machine);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		machine.code = rows[i].code;
		machine.gpa = rows[i].gpa;
		bench_measure(table, &(struct bench_operation){
					     rows[i].operation, "kvm", rows[i].n, rows[i].prepare,
					     rows[i].run, count_exits, &machine, rows[i].once });
	}
}
