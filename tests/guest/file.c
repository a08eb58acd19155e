// SPDX-License-Identifier: GPL-2.0-only
/* Files in which the kernel takes and gives numbers and words; see file.h. */
#define _GNU_SOURCE
#include "file.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool file_write(const char *path, const char *format, ...)
{
	char text[128];
	int fd, length;
	bool written;
	va_list arguments;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	written = write(fd, text, length) == length;
	close(fd);
	return written;
}

long file_number(const char *path, const char *word)
{
	char text[16384], *at = text;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = 0, bytes;

	if (fd < 0)
		return -1;
	while ((bytes = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += bytes;
	close(fd);
	text[length] = 0;
	while (word && at && (strncmp(at, word, strlen(word)) || at[strlen(word)] > ' ')) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return -1;
	return strtol(at + (word ? strlen(word) : 0), NULL, 10);
}
