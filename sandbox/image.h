/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the loader has to know of an ELF file, and whether the file can be believed. Reads only;
 * loader.c maps what this found.
 */
#ifndef SANDBOX_IMAGE_H
#define SANDBOX_IMAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define SANDBOX_MAX_SEGMENTS 64

/* A PT_LOAD. Addresses are those of the file; the loader adds its bias. */
struct sandbox_segment {
	uint64_t address, memory_bytes;
	uint64_t offset, file_bytes;
	int prot; /* PROT_* */
};

struct sandbox_image {
	bool fixed; /* ET_EXEC: only runs at the file's addresses */
	bool executable_stack;
	uint64_t entry;
	uint64_t headers; /* address of the program headers, 0: not in memory */
	uint16_t nr_headers;
	uint64_t low, high; /* page-rounded span of all segments */
	uint64_t align;	    /* largest alignment that a segment asks for */
	unsigned nr_segments;
	struct sandbox_segment segment[SANDBOX_MAX_SEGMENTS];
	char interpreter[PATH_MAX]; /* "": none */
};

/*
 * Reads the headers of the open file fd. 0, or -ENOEXEC with *why set to a sentence for the user;
 * every field of the image was checked against the file and against overflow.
 */
int sandbox_image_read(int fd, struct sandbox_image *image, const char **why);

#endif
