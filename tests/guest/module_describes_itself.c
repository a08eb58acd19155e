// SPDX-License-Identifier: GPL-2.0-only
/*
 * What modinfo prints: dune.ko says what it is, whose, under which licence and in
 * which version, and what each of its parameters does.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "module.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char *info;
static size_t info_bytes;

/* The file's section .modinfo: strings "name=value", each with its zero. */
static void read_info(void)
{
	int fd = CHECK_OK(module_open("dune"));
	struct stat status;
	const char *file, *names;
	const Elf64_Ehdr *header;
	const Elf64_Shdr *sections;

	CHECK_OK(fstat(fd, &status));
	file = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(file != MAP_FAILED);
	header = (const Elf64_Ehdr *)file;
	CHECK(!memcmp(header->e_ident, ELFMAG, SELFMAG));
	sections = (const Elf64_Shdr *)(file + header->e_shoff);
	names = file + sections[header->e_shstrndx].sh_offset;
	for (int i = 0; i < header->e_shnum; i++)
		if (!strcmp(names + sections[i].sh_name, ".modinfo")) {
			info = file + sections[i].sh_offset;
			info_bytes = sections[i].sh_size;
		}
	CHECK(info);
}

/* The value that starts like this, NULL if there is none. */
static const char *find(const char *start)
{
	for (const char *at = info; at < info + info_bytes; at += strlen(at) + 1)
		if (!strncmp(at, start, strlen(start)))
			return at + strlen(start);
	return NULL;
}

static void says_what_it_is(void)
{
	const char *wanted[] = { "description=", "author=", "version=" };

	read_info();
	CHECK(find("license=GPL"));
	for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const char *value = find(wanted[i]);

		if (!value || !*value)
			FAIL("no %s", wanted[i]);
	}
}

static void says_what_each_parameter_does(void)
{
	DIR *directory = opendir("/sys/module/dune/parameters");
	struct dirent *entry;
	int count = 0;

	TEST_REQUIRE(module_is_loaded("dune"), "dune is not a module here");
	read_info();
	CHECK(directory);
	while ((entry = readdir(directory))) {
		char start[300];

		if (entry->d_name[0] == '.')
			continue;
		count++;
		snprintf(start, sizeof(start), "parm=%s:", entry->d_name);
		if (!find(start) || strlen(find(start)) < 10)
			FAIL("no %s…", start);
		snprintf(start, sizeof(start), "parmtype=%s:", entry->d_name);
		CHECK(find(start));
	}
	closedir(directory);
	CHECK(count >= 1);
}

static void the_loaded_one_is_that_version(void)
{
	char version[64] = "";
	int fd;

	TEST_REQUIRE(module_is_loaded("dune"), "dune is not a module here");
	read_info();
	CHECK(find("version="));
	fd = CHECK_OK(open("/sys/module/dune/version", O_RDONLY));
	CHECK(CHECK_OK(read(fd, version, sizeof(version) - 1)) > 1);
	version[strcspn(version, "\n")] = 0;
	if (strcmp(version, find("version=")))
		FAIL("version %s is loaded, %s is in the file", version, find("version="));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(says_what_it_is),
		guest_test(says_what_each_parameter_does),
		guest_test(the_loaded_one_is_that_version),
	};

	return run_guest_tests(tests);
}
