// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arguments and the environment with which execve.c tells the next dune-sandbox what to run;
 * main.c reads them there.
 */
#include "handover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTION "--handover="

/* ---- Strings ------------------------------------------------------------ */

static int make_room(struct sandbox_strings *strings)
{
	size_t room = strings->room ? strings->room * 2 : 32;
	char **item;

	if (strings->count + 1 < strings->room)
		return 0;
	item = reallocarray(strings->item, room, sizeof(*item));
	if (!item)
		return -ENOMEM;
	strings->item = item;
	strings->room = room;
	return 0;
}

static int put(struct sandbox_strings *strings, size_t at, const char *string)
{
	char *copy = strdup(string);

	if (!copy || make_room(strings)) {
		free(copy);
		return -ENOMEM;
	}
	memmove(&strings->item[at + 1], &strings->item[at], (strings->count - at) * sizeof(copy));
	strings->item[at] = copy;
	strings->item[++strings->count] = NULL;
	strings->bytes += strlen(string) + 1;
	return 0;
}

int sandbox_strings_add(struct sandbox_strings *strings, const char *string)
{
	return put(strings, strings->count, string);
}

int sandbox_strings_insert(struct sandbox_strings *strings, const char *string)
{
	return put(strings, 0, string);
}

void sandbox_strings_destroy(struct sandbox_strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->item[i]);
	free(strings->item);
	*strings = (struct sandbox_strings){ 0 };
}

/* ---- Writing ------------------------------------------------------------- */

int sandbox_handover_write(const struct sandbox_handover *handover, const char *path,
			   const char *libraries, struct sandbox_strings *argv,
			   struct sandbox_strings *envp)
{
	char option[128];
	int result;

	snprintf(option, sizeof(option), OPTION "%d,%d,%d,%d,%d", handover->trace_fd,
		 handover->report_fd, handover->program_fd, handover->count, handover->is_child);
	result = sandbox_strings_insert(argv, path);
	if (!result)
		result = sandbox_strings_insert(argv, option);
	if (!result)
		result = sandbox_strings_insert(argv, "dune-sandbox");
	if (!result && libraries)
		result = sandbox_strings_insert(envp, libraries);
	if (!result)
		result = make_room(envp);
	if (!result)
		envp->item[envp->count] = NULL; /* there may be none at all */
	return result;
}

/* ---- Reading -------------------------------------------------------------- */

bool sandbox_handover_is_one(char *const *argv)
{
	return argv[0] && argv[1] && argv[2] && !strncmp(argv[1], OPTION, strlen(OPTION));
}

int sandbox_handover_read(char *const *argv, struct sandbox_handover *handover)
{
	int count, is_child;

	if (sscanf(argv[1], OPTION "%d,%d,%d,%d,%d", &handover->trace_fd, &handover->report_fd,
		   &handover->program_fd, &count, &is_child) != 5)
		return -EINVAL;
	handover->count = count;
	handover->is_child = is_child;
	return 0;
}

char **sandbox_handover_envp(char *const *envp)
{
	size_t count = 0;
	char **own;

	while (envp[count])
		count++;
	own = calloc(count + 1, sizeof(*own));
	count = 0;
	for (; own && *envp; envp++)
		if (**envp == SANDBOX_HANDOVER_MARK)
			own[count++] = *envp + 1;
	return own;
}
