// SPDX-License-Identifier: GPL-2.0-only
/*
 * Builds the initial stack of the program. loader.c calls it last, before the process enters Dune.
 *
 *   high   "x86_64", path, strings of envp and argv, 16 random bytes
 *          auxv … AT_NULL
 *          envp … NULL
 *          argv … NULL
 *   rsp    argc                                                         (16-byte aligned)
 *
 * There is no AT_SYSINFO_EHDR: the vDSO lies outside the arenas, so libc makes real system calls.
 */
#include "stack.h"

#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

struct writer {
	uint64_t low, at; /* the next string goes below `at` */
};

/* Copies something to the stack and returns its address; 0 if it does not fit. */
static uint64_t push(struct writer *writer, const void *data, size_t bytes)
{
	if (writer->at - writer->low < bytes)
		return 0;
	writer->at -= bytes;
	memcpy((void *)writer->at, data, bytes);
	return writer->at;
}

static size_t count_strings(char *const *strings)
{
	size_t count = 0;

	while (strings[count])
		count++;
	return count;
}

/* Pushes the strings and writes their addresses to words[]. 0 or -E2BIG. */
static int push_strings(struct writer *writer, char *const *strings, size_t count, uint64_t *words)
{
	while (count-- > 0) {
		words[count] = push(writer, strings[count], strlen(strings[count]) + 1);
		if (!words[count])
			return -E2BIG;
	}
	return 0;
}

static size_t fill_auxv(const struct sandbox_stack *stack, uint64_t random, uint64_t path,
			uint64_t platform, Elf64_auxv_t *to)
{
	const Elf64_auxv_t values[] = {
		{ AT_HWCAP, { getauxval(AT_HWCAP) } },
		{ AT_PAGESZ, { 4096 } },
		{ AT_CLKTCK, { getauxval(AT_CLKTCK) } },
		{ AT_PHDR, { stack->headers } },
		{ AT_PHENT, { sizeof(Elf64_Phdr) } },
		{ AT_PHNUM, { stack->nr_headers } },
		{ AT_BASE, { stack->base } },
		{ AT_FLAGS, { 0 } },
		{ AT_ENTRY, { stack->entry } },
		{ AT_UID, { getuid() } },
		{ AT_EUID, { geteuid() } },
		{ AT_GID, { getgid() } },
		{ AT_EGID, { getegid() } },
		{ AT_SECURE, { 0 } },
		{ AT_RANDOM, { random } },
		{ AT_HWCAP2, { getauxval(AT_HWCAP2) } },
		{ AT_MINSIGSTKSZ, { getauxval(AT_MINSIGSTKSZ) } },
		{ AT_EXECFN, { path } },
		{ AT_PLATFORM, { platform } },
		{ AT_NULL, { 0 } },
	};

	if (to)
		memcpy(to, values, sizeof(values));
	return sizeof(values);
}

int sandbox_stack_build(const struct sandbox_stack *stack, uint64_t *pointer)
{
	size_t argc = count_strings(stack->argv), envc = count_strings(stack->envp);
	size_t bytes =
		(1 + argc + 1 + envc + 1) * sizeof(uint64_t) + fill_auxv(stack, 0, 0, 0, NULL);
	/* Linux, too, leaves at least three quarters of the stack to the program. */
	struct writer writer = { stack->high - (stack->high - stack->low) / 4, stack->high };
	uint64_t random, path, platform, *word;

	platform = push(&writer, "x86_64", sizeof("x86_64"));
	path = push(&writer, stack->path, strlen(stack->path) + 1);
	random = push(&writer, stack->random, sizeof(stack->random));
	if (!platform || !path || !random || writer.at - writer.low < bytes + 16)
		return -E2BIG;

	/* The vectors lie below the strings, whose size is only known when they are written. */
	for (size_t i = 0; i < argc; i++)
		bytes += strlen(stack->argv[i]) + 1;
	for (size_t i = 0; i < envc; i++)
		bytes += strlen(stack->envp[i]) + 1;
	if (writer.at - writer.low < bytes + 16)
		return -E2BIG;
	*pointer = (writer.at - bytes) & -16ull;

	word = (uint64_t *)*pointer;
	*word++ = argc;
	if (push_strings(&writer, stack->envp, envc, word + argc + 1) ||
	    push_strings(&writer, stack->argv, argc, word))
		return -E2BIG;
	word[argc] = 0;
	word += argc + 1;
	word[envc] = 0;
	word += envc + 1;
	fill_auxv(stack, random, path, platform, (Elf64_auxv_t *)word);
	return 0;
}
