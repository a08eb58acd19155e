// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loader believes no ELF file: each contradiction is found, named, and refused.
 */
#include "fake_dune.h"
#include "image.h"
#include "loader.h"
#include "memory.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define INTERPRETER "/lib/interpreter"

/* A small program that is right in every respect. */
struct program {
	Elf64_Ehdr header;
	Elf64_Phdr text, data, interpreter, stack;
	char interpreter_name[sizeof(INTERPRETER)];
	char code[16];
};

static const struct program good = {
	.header = {
		.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = offsetof(struct program, code),
		.e_phoff = offsetof(struct program, text),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 4,
	},
	.text = {
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_filesz = sizeof(struct program),
		.p_memsz = sizeof(struct program),
		.p_align = 4096,
	},
	.data = {
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_W,
		.p_vaddr = 0x2010,
		.p_offset = 0x10,
		.p_filesz = 16,
		.p_memsz = 0x3000,
		.p_align = 4096,
	},
	.interpreter = {
		.p_type = PT_INTERP,
		.p_offset = offsetof(struct program, interpreter_name),
		.p_filesz = sizeof(INTERPRETER),
	},
	.stack = { .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W },
	.interpreter_name = INTERPRETER,
};

static int make_file(const void *data, size_t bytes)
{
	int fd = memfd_create("program", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), bytes);
	return fd;
}

static int read_file(const void *data, size_t bytes, struct sandbox_image *image, const char **why)
{
	int fd = make_file(data, bytes);
	int result = sandbox_image_read(fd, image, why);

	close(fd);
	return result;
}

static void check_refused(const void *data, size_t bytes, const char *expected)
{
	static struct sandbox_image image;
	const char *why;

	assert_int_equal(read_file(data, bytes, &image, &why), -ENOEXEC);
	if (!strstr(why, expected))
		fail_msg("expected \"%s\", got \"%s\"", expected, why);
}

/* Checks that a copy of the good program with one thing changed is refused. */
#define REFUSED(expected, ...)                                      \
	do {                                                        \
		struct program program = good;                      \
		program.__VA_ARGS__;                                \
		check_refused(&program, sizeof(program), expected); \
	} while (0)

static void good_program_is_read(void **state)
{
	static struct sandbox_image image;
	const char *why;

	(void)state;
	if (read_file(&good, sizeof(good), &image, &why))
		fail_msg("%s", why);
	assert_false(image.fixed);
	assert_int_equal(image.nr_segments, 2);
	assert_int_equal(image.low, 0);
	assert_int_equal(image.high, 0x6000);
	assert_int_equal(image.headers, good.header.e_phoff);
	assert_string_equal(image.interpreter, INTERPRETER);
	assert_int_equal(image.segment[1].prot, PROT_READ | PROT_WRITE);
	assert_false(image.executable_stack);
}

static void what_is_no_elf_file_is_refused(void **state)
{
	(void)state;
	check_refused("", 0, "is empty");
	check_refused("#!/bin/sh\n", 10, "script");
	check_refused("hello, world, this is text", 26, "not an ELF");
	check_refused("\x7f"
		      "EL",
		      3, "not an ELF");
	check_refused(&good, EI_NIDENT - 1, "truncated");
	check_refused(&good, sizeof(Elf64_Ehdr) - 1, "truncated");
	REFUSED("corrupt", header.e_ident[EI_CLASS] = 7);
	REFUSED("32-bit", header.e_ident[EI_CLASS] = ELFCLASS32);
	REFUSED("big-endian", header.e_ident[EI_DATA] = ELFDATA2MSB);
	REFUSED("version", header.e_ident[EI_VERSION] = 9);
}

static void wrong_headers_are_refused(void **state)
{
	(void)state;
	REFUSED("32-bit", header.e_machine = EM_386);
	REFUSED("another processor", header.e_machine = EM_AARCH64);
	REFUSED("object file", header.e_type = ET_REL);
	REFUSED("core dump", header.e_type = ET_CORE);
	REFUSED("unknown ELF type", header.e_type = 77);
	REFUSED("no program headers", header.e_phnum = 0);
	REFUSED("wrong size", header.e_phentsize = 32);
	REFUSED("truncated", header.e_phnum = 5000);
	REFUSED("truncated", header.e_phoff = sizeof(struct program));
	REFUSED("truncated", header.e_phoff = -64ull);
	REFUSED("shared library", header.e_entry = 0);
	REFUSED("entry point", header.e_entry = 0x2010); /* not executable */
	REFUSED("entry point", header.e_entry = 1ull << 63);
}

static void wrong_segments_are_refused(void **state)
{
	(void)state;
	REFUSED("truncated", text.p_filesz = 0x100000, program.text.p_memsz = 0x100000);
	REFUSED("truncated", data.p_offset = -0x1000ull + 0x10);
	REFUSED("larger in the file", data.p_memsz = 8);
	REFUSED("beyond the end of the address space", data.p_memsz = -0x2000ull);
	REFUSED("beyond the end of the address space", data.p_vaddr = 1ull << 62 | 0x10);
	REFUSED("cannot be mapped", data.p_vaddr = 0x2020);
	REFUSED("overlap", data.p_vaddr = 0x10);
	REFUSED("power of two", data.p_align = 0x1001);
	REFUSED("nothing to load", text.p_type = PT_NULL, program.data.p_type = PT_NULL);
}

static void wrong_interpreters_are_refused(void **state)
{
	(void)state;
	REFUSED("sensible length", interpreter.p_filesz = 0);
	REFUSED("sensible length", interpreter.p_filesz = 1ull << 40);
	REFUSED("truncated", interpreter.p_offset = 1 << 20);
	REFUSED("does not end", interpreter.p_filesz = 4);
	REFUSED("two interpreters", stack = program.interpreter);
}

static void truncated_real_program_is_refused(void **state)
{
	static struct sandbox_image image;
	static char data[8192];
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const char *why;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(sandbox_image_read(fd, &image, &why), 0);
	assert_int_equal(pread(fd, data, sizeof(data), 0), sizeof(data));
	close(fd);
	check_refused(data, sizeof(data), "truncated");
}

/* Any bytes in the place of the headers: refused, or found to be within bounds. */
static void random_damage_is_survived(void **state)
{
	static struct sandbox_image image;
	const char *why;

	(void)state;
	srandom(1);
	for (int round = 0; round < 20000; round++) {
		struct program program = good;

		for (int i = random() % 4; i >= 0; i--)
			((unsigned char *)&program)[16 + random() % (sizeof(program) - 16)] =
				random();
		if (read_file(&program, sizeof(program), &image, &why))
			continue;
		for (unsigned i = 0; i < image.nr_segments; i++) {
			const struct sandbox_segment *segment = &image.segment[i];

			assert_true(segment->address + segment->memory_bytes <= 1ull << 47);
			assert_true(segment->file_bytes <= segment->memory_bytes);
			assert_true(segment->offset + segment->file_bytes <= sizeof(program));
		}
	}
}

/* What the user sees: the exit status. */
static void status_tells_not_found_from_not_executable(void **state)
{
	static struct sandbox_program program;
	static struct sandbox_memory memory;
	char *const none[] = { NULL };
	int fd = make_file("text", 4);

	(void)state;
	assert_int_equal(sandbox_program_open(&program, "/no/such/program"), -ENOENT);
	assert_int_equal(sandbox_program_open(&program, "no-such-program-anywhere"), -ENOENT);
	assert_int_equal(sandbox_program_open(&program, ""), -ENOENT);
	assert_int_equal(sandbox_program_open(&program, "/etc/passwd"), -EACCES);
	assert_int_equal(sandbox_program_load(&program, &memory, fd, none, none),
			 SANDBOX_EXIT_NOT_EXECUTABLE);
	fd = open("/", O_RDONLY | O_CLOEXEC);
	assert_int_equal(sandbox_program_load(&program, &memory, fd, none, none),
			 SANDBOX_EXIT_NOT_EXECUTABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_program_is_read),
		cmocka_unit_test(what_is_no_elf_file_is_refused),
		cmocka_unit_test(wrong_headers_are_refused),
		cmocka_unit_test(wrong_segments_are_refused),
		cmocka_unit_test(wrong_interpreters_are_refused),
		cmocka_unit_test(truncated_real_program_is_refused),
		cmocka_unit_test(random_damage_is_survived),
		cmocka_unit_test(status_tells_not_found_from_not_executable),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
