// SPDX-License-Identifier: GPL-2.0-only
/*
 * What cannot be run ends with the status that a shell gives it, and one message that says why.
 */
#include "sandboxed.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BAD_FILE "/tmp/bad-program"

static void check_refused(const char *program, int status, const char *reason)
{
	struct outcome outcome;

	RUN_SANDBOXED(&outcome, program);
	check_status(&outcome, status);
	assert_int_equal(outcome.out_bytes, 0);
	assert_memory_equal(outcome.err, "dune-sandbox: ", strlen("dune-sandbox: "));
	if (!strstr(outcome.err, program) || !strstr(outcome.err, reason))
		fail_msg("no \"%s\" in: %s", reason, outcome.err);
	assert_ptr_equal(strchr(outcome.err, '\n'), outcome.err + strlen(outcome.err) - 1);
	outcome_free(&outcome);
}

/* An executable file with this content. */
static void make_file(const void *content, size_t bytes)
{
	int fd = open(BAD_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, bytes), bytes);
	close(fd);
}

/* The first bytes of a good program, of which a test then changes some. */
static Elf64_Ehdr *good_program(size_t *bytes)
{
	static char content[1 << 20];
	int fd = open(program_path("start_dynamic_pie"), O_RDONLY);
	ssize_t got = read(fd, content, sizeof(content));

	assert_true(got > 4096 && got < (ssize_t)sizeof(content));
	close(fd);
	*bytes = got;
	return (Elf64_Ehdr *)content;
}

static void names_that_are_not_there(void **state)
{
	(void)state;
	check_refused("/nonexistent", 127, "not found");
	check_refused("no-such-command", 127, "not found");
	check_refused("/etc/passwd/below", 127, "");
}

static void files_that_may_not_be_executed(void **state)
{
	(void)state;
	check_refused("/etc/passwd", 126, "Permission denied");
	check_refused("/etc", 126, "directory");
	check_refused("/dev/null", 126, "");
}

static void files_that_are_no_programs(void **state)
{
	(void)state;
	make_file("", 0);
	check_refused(BAD_FILE, 126, "is empty");
	make_file("echo a script without a first line\n", 35);
	check_refused(BAD_FILE, 126, "is not an ELF program");
	make_file(ELFMAG, SELFMAG);
	check_refused(BAD_FILE, 126, "is truncated");
}

static void programs_for_other_processors(void **state)
{
	size_t bytes;
	Elf64_Ehdr *header = good_program(&bytes);

	(void)state;
	header->e_ident[EI_CLASS] = ELFCLASS32;
	make_file(header, bytes);
	check_refused(BAD_FILE, 126, "32-bit");
	header = good_program(&bytes);
	header->e_machine = EM_AARCH64;
	make_file(header, bytes);
	check_refused(BAD_FILE, 126, "another processor");
}

/* Each length that cuts something off: headers, program headers, segments. */
static void truncated_programs(void **state)
{
	const size_t lengths[] = { 5, 16, 63, 64, 100, 400, 2000, 4096 };
	size_t bytes;
	Elf64_Ehdr *header = good_program(&bytes);

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		make_file(header, lengths[i]);
		check_refused(BAD_FILE, 126, "truncated");
	}
}

static void corrupt_programs(void **state)
{
	size_t bytes;
	Elf64_Ehdr *header = good_program(&bytes);
	Elf64_Phdr *segment;

	(void)state;
	header->e_entry = 0xdead00000000;
	make_file(header, bytes);
	check_refused(BAD_FILE, 126, "entry point");

	header = good_program(&bytes);
	header->e_phoff = UINT64_MAX - 8;
	make_file(header, bytes);
	check_refused(BAD_FILE, 126, "");

	for (int what = 0; what < 5; what++) {
		header = good_program(&bytes);
		segment = (Elf64_Phdr *)((char *)header + header->e_phoff);
		while (segment->p_type != PT_LOAD)
			segment++;
		switch (what) {
		case 0:
			segment->p_vaddr = 0xffffffff81000000;
			break;
		case 1:
			segment->p_memsz = UINT64_MAX;
			break;
		case 2:
			segment->p_filesz = segment->p_memsz + 1;
			break;
		case 3:
			segment->p_align = 3;
			break;
		case 4:
			segment->p_offset = UINT64_MAX - 1;
			break;
		}
		make_file(header, bytes);
		check_refused(BAD_FILE, 126, "");
	}
}

/* A program that is linked to where the sandbox itself lies, or below what may be mapped. */
static void addresses_that_cannot_be_had(void **state)
{
	size_t bytes;
	Elf64_Ehdr *header;
	Elf64_Phdr *segment;

	(void)state;
	header = good_program(&bytes);
	header->e_type = ET_EXEC; /* its addresses begin at 0 */
	segment = (Elf64_Phdr *)((char *)header + header->e_phoff);
	(void)segment;
	make_file(header, bytes);
	check_refused(BAD_FILE, 126, "cannot be used");
}

static int remove_file(void **state)
{
	(void)state;
	unlink(BAD_FILE);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_are_not_there),
		cmocka_unit_test(files_that_may_not_be_executed),
		cmocka_unit_test(files_that_are_no_programs),
		cmocka_unit_test(programs_for_other_processors),
		cmocka_unit_test(truncated_programs),
		cmocka_unit_test(corrupt_programs),
		cmocka_unit_test(addresses_that_cannot_be_had),
	};

	return cmocka_run_group_tests(tests, NULL, remove_file);
}
