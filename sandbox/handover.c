// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file in memory by which execve.c tells the next dune-sandbox what to run; main.c reads it
 * there. A header, then strings: the path, argv, envp.
 */
#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct header {
	int32_t trace_fd, report_fd, program_fd;
	uint32_t count, is_child;
	uint32_t argc, envc;
	uint64_t blocked;
};

#define MAX_BYTES (8u << 20)

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

static char *append(char *at, const char *string)
{
	return stpcpy(at, string) + 1;
}

static int write_all(int fd, const char *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t written = write(fd, data, bytes);

		if (written <= 0)
			return written ? -errno : -EIO;
		data += written;
		bytes -= written;
	}
	return 0;
}

int sandbox_handover_write(const struct sandbox_handover *handover)
{
	const struct header header = {
		.trace_fd = handover->trace_fd,
		.report_fd = handover->report_fd,
		.program_fd = handover->program_fd,
		.count = handover->count,
		.is_child = handover->is_child,
		.blocked = handover->blocked,
		.argc = handover->argv.count,
		.envc = handover->envp.count,
	};
	size_t bytes = sizeof(header) + strlen(handover->path) + 1 + handover->argv.bytes +
		       handover->envp.bytes;
	char *text = malloc(bytes), *at = text;
	int fd = -ENOMEM, result;

	if (!text)
		return -ENOMEM;
	at = mempcpy(at, &header, sizeof(header));
	at = append(at, handover->path);
	for (size_t i = 0; i < handover->argv.count; i++)
		at = append(at, handover->argv.item[i]);
	for (size_t i = 0; i < handover->envp.count; i++)
		at = append(at, handover->envp.item[i]);

	fd = memfd_create("dune-sandbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	result = fd < 0 ? -errno : write_all(fd, text, bytes);
	/* Other processes of this user can open it in /proc, too. */
	if (!result &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
		result = -errno;
	free(text);
	if (result && fd >= 0)
		close(fd);
	return result ? result : fd;
}

/* ---- Reading -------------------------------------------------------------- */

struct reader {
	const char *at, *end;
};

/* The next string; NULL where there is none. */
static const char *next_string(struct reader *reader)
{
	const char *string = reader->at;
	const char *end = memchr(string, '\0', reader->end - string);

	if (!end)
		return NULL;
	reader->at = end + 1;
	return string;
}

static int read_strings(struct reader *reader, uint32_t count, struct sandbox_strings *strings)
{
	while (count-- > 0) {
		const char *string = next_string(reader);

		if (!string)
			return -EINVAL;
		if (sandbox_strings_add(strings, string))
			return -ENOMEM;
	}
	return make_room(strings);
}

static int parse(struct reader *reader, struct sandbox_handover *handover)
{
	struct header header;
	const char *path;
	int result;

	if (reader->end - reader->at < (ptrdiff_t)sizeof(header))
		return -EINVAL;
	memcpy(&header, reader->at, sizeof(header));
	reader->at += sizeof(header);
	path = next_string(reader);
	if (!path)
		return -EINVAL;
	*handover = (struct sandbox_handover){
		.trace_fd = header.trace_fd,
		.report_fd = header.report_fd,
		.program_fd = header.program_fd,
		.count = header.count,
		.is_child = header.is_child,
		.blocked = header.blocked,
		.path = strdup(path),
	};
	result = read_strings(reader, header.argc, &handover->argv);
	if (!result)
		result = read_strings(reader, header.envc, &handover->envp);
	if (!handover->path)
		result = -ENOMEM;
	if (result)
		return result;
	handover->argv.item[handover->argv.count] = NULL;
	handover->envp.item[handover->envp.count] = NULL;
	return 0;
}

int sandbox_handover_read(int fd, struct sandbox_handover *handover)
{
	struct reader reader;
	struct stat status;
	int result = -EINVAL;
	char *text;

	if (fstat(fd, &status))
		return -errno;
	if (status.st_size <= 0 || status.st_size > MAX_BYTES)
		return -EINVAL;
	text = malloc(status.st_size);
	if (text && pread(fd, text, status.st_size, 0) == status.st_size) {
		reader = (struct reader){ text, text + status.st_size };
		result = parse(&reader, handover);
	}
	free(text);
	close(fd);
	return result;
}
