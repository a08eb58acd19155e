// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions that are not ring 3's are #GP or #UD there and change nothing;
 * they never end the program that ring 3 is part of.
 */
#define _GNU_SOURCE
#include "ring3.h"
#include "ring3_attacks.h"

#include <sys/mman.h>

#define UD   (1 << 6)
#define GP   (1 << 13)
#define DB   (1 << 1)
#define BP   (1 << 3)
#define OF   (1 << 4)
#define PF   (1 << 14)
#define FINE (1u << 31) /* may also do no harm at all */

static const struct {
	const char *name;
	const char *bytes;
	size_t length;
	unsigned ends; /* a bit for each vector that is right */
} rows[] = {
#define ROW(name, bytes, ends)                       \
	{                                            \
		name, bytes, sizeof(bytes) - 1, ends \
	}
	ROW("vmlaunch", "\x0f\x01\xc2", UD | GP),
	ROW("vmresume", "\x0f\x01\xc3", UD | GP),
	ROW("vmxoff", "\x0f\x01\xc4", UD | GP),
	ROW("vmread rax, rax", "\x0f\x78\xc0", UD | GP),
	ROW("vmwrite rax, rax", "\x0f\x79\xc0", UD | GP),
	ROW("vmptrld [rsp]", "\x0f\xc7\x34\x24", UD | GP),
	ROW("vmptrst [rsp]", "\x0f\xc7\x3c\x24", UD | GP),
	ROW("vmclear [rsp]", "\x66\x0f\xc7\x34\x24", UD | GP),
	ROW("vmxon [rsp]", "\xf3\x0f\xc7\x34\x24", UD | GP),
	ROW("invept rax, [rsp]", "\x66\x0f\x38\x80\x04\x24", UD | GP),
	ROW("invvpid rax, [rsp]", "\x66\x0f\x38\x81\x04\x24", UD | GP),
	ROW("vmfunc", "\x31\xc0\x31\xc9\x0f\x01\xd4", UD | GP),
	ROW("vmfunc 511", "\x31\xc0\xb9\xff\x01\x00\x00\x0f\x01\xd4", UD | GP),
	ROW("getsec", "\x31\xc0\x0f\x37", UD | GP),
	ROW("invd", "\x0f\x08", GP),
	ROW("wbinvd", "\x0f\x09", GP),
	ROW("hlt", "\xf4", GP),
	ROW("cli", "\xfa", GP),
	ROW("sti", "\xfb", GP),
	ROW("clts", "\x0f\x06", GP),
	ROW("swapgs", "\x0f\x01\xf8", GP),
	ROW("clac", "\x0f\x01\xca", UD | GP),
	ROW("stac", "\x0f\x01\xcb", UD | GP),
	ROW("monitor", "\x0f\x01\xc8", UD | GP),
	ROW("mwait", "\x0f\x01\xc9", UD | GP),
	ROW("xsetbv", "\x31\xc0\x31\xc9\x31\xd2\x0f\x01\xd1", UD | GP),
	ROW("rdmsr", "\xb9\x82\x00\x00\xc0\x0f\x32", GP),
	ROW("wrmsr", "\xb9\x82\x00\x00\xc0\x0f\x30", GP),
	ROW("rdpmc", "\x31\xc9\x0f\x33", GP),
	ROW("lgdt [rsp]", "\x0f\x01\x14\x24", GP),
	ROW("lidt [rsp]", "\x0f\x01\x1c\x24", GP),
	ROW("lldt ax", "\x31\xc0\x0f\x00\xd0", GP),
	ROW("ltr ax", "\x31\xc0\x0f\x00\xd8", GP),
	ROW("lmsw ax", "\x0f\x01\xf0", GP),
	ROW("mov rax, cr0", "\x0f\x20\xc0", GP),
	ROW("mov rax, cr3", "\x0f\x20\xd8", GP),
	ROW("mov cr3, rax", "\x0f\x22\xd8", GP),
	ROW("mov cr4, rax", "\x0f\x22\xe0", GP),
	ROW("mov cr8, rax", "\x44\x0f\x22\xc0", GP),
	ROW("mov rax, dr7", "\x0f\x21\xf8", GP),
	ROW("mov dr7, rax", "\x0f\x23\xf8", GP),
	ROW("invlpg [rsp]", "\x0f\x01\x3c\x24", GP),
	ROW("invpcid rax, [rsp]", "\x66\x0f\x38\x82\x04\x24", UD | GP),
	ROW("sysret", "\x48\x0f\x07", GP),
	ROW("sysexit", "\x48\x0f\x35", GP),
	ROW("sysenter", "\x0f\x34", GP | UD),
	ROW("rsm", "\x0f\xaa", UD),
	ROW("in al, dx", "\xba\x60\x00\x00\x00\xec", GP),
	ROW("out dx, al", "\xba\x80\x00\x00\x00\xee", GP),
	ROW("in al, 0x60", "\xe4\x60", GP),
	ROW("insb", "\xba\x60\x00\x00\x00\x6c", GP | PF),
	ROW("outsb", "\xba\x60\x00\x00\x00\x6e", GP | PF),
	ROW("int 0x80", "\xcd\x80", GP),
	ROW("int 14", "\xcd\x0e", GP),
	ROW("int 0", "\xcd\x00", GP),
	ROW("int 2", "\xcd\x02", GP),
	ROW("int 8", "\xcd\x08", GP),
	ROW("int 13", "\xcd\x0d", GP),
	ROW("int 255", "\xcd\xff", GP),
	ROW("int3", "\xcc", BP),
	ROW("int 3, the long way", "\xcd\x03", BP),
	ROW("int 4", "\xcd\x04", OF),
	ROW("icebp", "\xf1", DB),
	ROW("ud0", "\x0f\xff\xc0", UD),
	ROW("ud1", "\x0f\xb9\xc0", UD),
	ROW("ud2", "\x0f\x0b", UD),
	ROW("lock nop", "\xf0\x90", UD),
	ROW("16 bytes", "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90",
	    GP | UD),
	ROW("iret to ring 0",
	    "\x48\x89\xe0\x6a\x18\x50\x68\x02\x30\x00\x00\x6a\x10\x48\x8d\x05\x00\x00\x00\x00\x50"
	    "\x48\xcf",
	    GP),
	ROW("retf to ring 0", "\x6a\x10\x48\x8d\x05\x00\x00\x00\x00\x50\x48\xcb", GP),
	ROW("sgdt [rsp-16]", "\x0f\x01\x44\x24\xf0", GP | FINE),
	ROW("smsw eax", "\x0f\x01\xe0", GP | FINE),
	ROW("str eax", "\x0f\x00\xc8", GP | FINE),
	ROW("sldt eax", "\x0f\x00\xc0", GP | FINE),
	ROW("cpuid", "\x31\xc0\x0f\xa2", FINE),
	ROW("rdtsc", "\x0f\x31", GP | FINE),
	ROW("xgetbv", "\x31\xc9\x0f\x01\xd0", UD | FINE),
};
enum { NR_ROWS = sizeof(rows) / sizeof(rows[0]) };

/* A page in the arena for each row; cr registers tell whether anything changed. */
static char *place_row(unsigned row)
{
	char *page = (char *)ring3_data() + PAGE_BYTES;

	CHECK(mmap(page, PAGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
	CHECK_EQ(dune_copy_to_user((uintptr_t)page, rows[row].bytes, rows[row].length), 0);
	CHECK_EQ(dune_copy_to_user((uintptr_t)page + rows[row].length, "\xc3", 1), 0);
	CHECK_OK(mprotect(page, PAGE_BYTES, PROT_READ | PROT_EXEC));
	return page;
}

struct control {
	uint64_t cr0, cr3, cr4;
};

static struct control read_control(void)
{
	struct control control;

	__asm__ volatile("mov %%cr0, %0; mov %%cr3, %1; mov %%cr4, %2"
			 : "=r"(control.cr0), "=r"(control.cr3), "=r"(control.cr4));
	return control;
}

static void each_of_them(void)
{
	struct control before;

	ring3_prepare();
	before = read_control();
	for (unsigned row = 0; row < NR_ROWS; row++) {
		struct dune_ring3_end end = { 0 };
		struct control after;
		uint64_t value;
		int result = dune_ring3_call((uintptr_t)place_row(row), ring3_stack_top(), 0, 0, 0,
					     &value, &end);

		if (result ? end.vector > 31 || !(rows[row].ends >> end.vector & 1)
			   : !(rows[row].ends & FINE))
			FAIL("%s: result %d vector %u error %#x", rows[row].name, result,
			     end.vector, end.error);
		after = read_control();
		if (memcmp(&before, &after, sizeof(before)))
			FAIL("%s changed a control register", rows[row].name);
	}
	CHECK_EQ(ring3_syscalls, 0);
	ring3_check_host();
}

int main(void)
{
	const struct CMUnitTest tests[] = { guest_test(each_of_them) };

	return run_guest_tests(tests);
}
