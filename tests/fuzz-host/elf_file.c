// SPDX-License-Identifier: GPL-2.0-only
/* An ELF file: what the sandbox's loader believes of it is true. */
#include "target.h"
#include "image.h"

#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ADDRESS_END (1ull << 47)

static void check_segment(const struct sandbox_image *image, unsigned i, size_t file_bytes)
{
	const struct sandbox_segment *segment = &image->segment[i];

	MUST(segment->memory_bytes && segment->file_bytes <= segment->memory_bytes);
	MUST(segment->offset <= file_bytes && segment->file_bytes <= file_bytes - segment->offset);
	MUST(segment->address < ADDRESS_END);
	MUST(segment->memory_bytes <= ADDRESS_END - segment->address);
	MUST(segment->address >= image->low);
	MUST(segment->address + segment->memory_bytes <= image->high);
	MUST(!(segment->prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)));
	if (i)
		MUST(segment->address >= segment[-1].address + segment[-1].memory_bytes);
}

static void check(const struct sandbox_image *image, size_t file_bytes)
{
	bool entry_is_code = false, headers_are_there = !image->headers;

	MUST(image->nr_segments && image->nr_segments <= SANDBOX_MAX_SEGMENTS);
	MUST(image->align && !(image->align & (image->align - 1)));
	MUST(image->low < image->high && image->low % 4096 == 0 && image->high % 4096 == 0);
	MUST(memchr(image->interpreter, 0, sizeof(image->interpreter)));
	for (unsigned i = 0; i < image->nr_segments; i++) {
		const struct sandbox_segment *segment = &image->segment[i];

		check_segment(image, i, file_bytes);
		if (segment->prot & PROT_EXEC &&
		    image->entry - segment->address < segment->memory_bytes)
			entry_is_code = true;
		if (image->headers - segment->address <= segment->file_bytes &&
		    segment->file_bytes - (image->headers - segment->address) >=
			    image->nr_headers * sizeof(Elf64_Phdr))
			headers_are_there = true;
	}
	MUST(entry_is_code && headers_are_there);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct sandbox_image image;
	int fd = memfd_create("program", MFD_CLOEXEC);
	const char *why = NULL;

	MUST(fd >= 0 && write(fd, data, bytes) == (ssize_t)bytes);
	if (!sandbox_image_read(fd, &image, &why))
		check(&image, bytes);
	else
		MUST(why && *why);
	close(fd);
	return 0;
}
