// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says what it found when it started, without addresses, so that the output is the same wherever it
 * runs; and checks what can be checked about the addresses. Linked in each way that there is.
 */
#include <elf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

extern char **environ;
extern void _start(void);
extern const Elf64_Ehdr __ehdr_start;

static int wrong;

static void check(int right, const char *what)
{
	if (right)
		return;
	printf("WRONG: %s\n", what);
	wrong = 1;
}

static void check_headers(void)
{
	const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
	int loads = 0;

	check(getauxval(AT_PHENT) == sizeof(*headers), "AT_PHENT");
	check(getauxval(AT_PHNUM) == __ehdr_start.e_phnum, "AT_PHNUM");
	check((uintptr_t)headers == (uintptr_t)&__ehdr_start + __ehdr_start.e_phoff, "AT_PHDR");
	for (unsigned i = 0; i < getauxval(AT_PHNUM); i++)
		loads += headers[i].p_type == PT_LOAD;
	printf("%d segments\n", loads);
}

/* ld.so's own header is where AT_BASE says. */
static void check_base(void)
{
	const char *base = (const char *)getauxval(AT_BASE);

	printf("%s interpreter\n", base ? "an" : "no");
	check(!base || !memcmp(base, ELFMAG, SELFMAG), "AT_BASE");
}

static void check_stack(char **argv)
{
	/* argc lies below argv, at the stack pointer that the program started with. */
	check((uintptr_t)(argv - 1) % 16 == 0, "the stack's alignment");
	check(environ > argv, "the order of argv and envp");
	check(environ - argv == 1 + ((long *)argv)[-1], "argc");
	check((char *)environ < environ[0], "strings lie above their vectors");
}

static void check_random(void)
{
	const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
	unsigned sum = 0;

	for (int i = 0; i < 16; i++)
		sum |= random[i];
	check(sum != 0, "AT_RANDOM");
	/* For the test that compares two runs; a line of its own, and only when asked for. */
	if (getenv("SHOW_RANDOM"))
		for (int i = 0; i < 16; i++)
			printf("%02x%s", random[i], i == 15 ? "\n" : "");
}

static void print_numbers(void)
{
	printf("page %lu, tick %lu, flags %lu, secure %lu\n", getauxval(AT_PAGESZ),
	       getauxval(AT_CLKTCK), getauxval(AT_FLAGS), getauxval(AT_SECURE));
	printf("uid %lu %lu, gid %lu %lu\n", getauxval(AT_UID), getauxval(AT_EUID),
	       getauxval(AT_GID), getauxval(AT_EGID));
	printf("platform %s, hwcap %lx %lx\n", (char *)getauxval(AT_PLATFORM), getauxval(AT_HWCAP),
	       getauxval(AT_HWCAP2));
	printf("execfn %s\n", (char *)getauxval(AT_EXECFN));
}

/* Addresses that differ from run to run, to see that they do. */
static void print_places(void)
{
	int local;

	printf("%p %p %p\n", (void *)&local, (void *)(uintptr_t)getauxval(AT_BASE), sbrk(0));
}

int main(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		printf("argument %s\n", argv[i]);
	for (char **variable = environ; *variable; variable++)
		printf("environment %s\n", *variable);
	check((uintptr_t)_start == getauxval(AT_ENTRY), "AT_ENTRY");
	check_headers();
	check_base();
	check_stack(argv);
	check_random();
	print_numbers();
	if (getenv("SHOW_PLACES"))
		print_places();
	return wrong;
}
