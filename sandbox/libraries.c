// SPDX-License-Identifier: GPL-2.0-only
/*
 * The directories that the sandbox's own libraries came from. Called by main.c at the start; execve.c
 * gives the answer to the next sandbox. LD_LIBRARY_PATH as the user has it would not do: an empty or
 * relative element is the working directory, and a directory without libraries may get some.
 */
#include "libraries.h"

#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLE "LD_LIBRARY_PATH"

static bool is_listed(const char *list, const char *directory)
{
	size_t length = strlen(directory);

	for (const char *at = strchr(list, '=') + 1; *at; at += strcspn(at, ":"), at += *at == ':')
		if (strcspn(at, ":") == length && !memcmp(at, directory, length))
			return true;
	return false;
}

/* A loaded object; *to is the list so far. Those without a file have no slash in their name. */
static int add_directory(struct dl_phdr_info *info, size_t bytes, void *to)
{
	const char *slash = strrchr(info->dlpi_name, '/');
	char **list = to, *longer, name[PATH_MAX], directory[PATH_MAX];

	(void)bytes;
	if (!slash || slash - info->dlpi_name >= PATH_MAX - 1)
		return 0;
	snprintf(name, sizeof(name), "%.*s/", (int)(slash - info->dlpi_name), info->dlpi_name);
	/* What means something to ld.so cannot be named. */
	if (!realpath(name, directory) || strpbrk(directory, ":;$") || is_listed(*list, directory))
		return 0;
	if (asprintf(&longer, "%s%s%s", *list, strchr(*list, '/') ? ":" : "", directory) < 0)
		return -1;
	free(*list);
	*list = longer;
	return 0;
}

char *sandbox_libraries_path(void)
{
	char *list = getenv(VARIABLE) ? strdup(VARIABLE "=") : NULL;

	if (list && dl_iterate_phdr(add_directory, &list)) {
		free(list);
		list = NULL;
	}
	return list;
}
