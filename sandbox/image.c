// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads an ELF file's headers with libelf and refuses what Linux would refuse, and more: a file
 * that contradicts itself. loader.c is the caller, and maps the segments found here.
 */
#include "image.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES  4096ull
#define ADDRESS_END (1ull << 47) /* of user addresses */

static uint64_t page_down(uint64_t value)
{
	return value & -PAGE_BYTES;
}

static uint64_t page_up(uint64_t value)
{
	return page_down(value + PAGE_BYTES - 1);
}

static const char *check_kind(Elf *elf, int fd, uint64_t file_bytes)
{
	unsigned char ident[EI_NIDENT] = { 0 };
	ssize_t got = pread(fd, ident, sizeof(ident), 0);

	if (got < 0)
		return "cannot be read";
	if (got == 0)
		return "is empty";
	if (ident[0] == '#' && ident[1] == '!')
		return "is a script; give its interpreter as the program";
	if (got < SELFMAG || memcmp(ident, ELFMAG, SELFMAG))
		return "is not an ELF program";
	if (got < EI_NIDENT || file_bytes < sizeof(Elf32_Ehdr))
		return "is truncated: its ELF header is not complete";
	if (ident[EI_CLASS] == ELFCLASS32)
		return "is a 32-bit program; Dune runs x86-64 programs";
	if (ident[EI_CLASS] != ELFCLASS64)
		return "is corrupt: neither a 32-bit nor a 64-bit ELF file";
	if (ident[EI_DATA] != ELFDATA2LSB)
		return "is a big-endian program; Dune runs x86-64 programs";
	if (ident[EI_VERSION] != EV_CURRENT)
		return "is corrupt: unknown ELF version";
	if (file_bytes < sizeof(Elf64_Ehdr))
		return "is truncated: its ELF header is not complete";
	if (!elf || elf_kind(elf) != ELF_K_ELF)
		return "is corrupt: its ELF header makes no sense";
	return NULL;
}

static const char *check_header(const GElf_Ehdr *header, uint64_t file_bytes)
{
	if (header->e_machine != EM_X86_64)
		return header->e_machine == EM_386
			       ? "is a 32-bit program; Dune runs x86-64 programs"
			       : "is for another processor than x86-64";
	if (header->e_type == ET_REL)
		return "is an object file that was not linked";
	if (header->e_type == ET_CORE)
		return "is a core dump, not a program";
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return "is corrupt: unknown ELF type";
	if (header->e_phnum == 0)
		return "is corrupt: it has no program headers";
	if (header->e_phnum == PN_XNUM || header->e_phentsize != sizeof(Elf64_Phdr))
		return "is corrupt: its program headers have a wrong size or number";
	if (header->e_phoff > file_bytes ||
	    file_bytes - header->e_phoff < header->e_phnum * sizeof(Elf64_Phdr))
		return "is truncated: its program headers lie beyond its end";
	return NULL;
}

static const char *add_segment(struct sandbox_image *image, const GElf_Phdr *header,
			       uint64_t file_bytes)
{
	struct sandbox_segment *segment = &image->segment[image->nr_segments];

	if (header->p_memsz == 0)
		return NULL;
	if (image->nr_segments == SANDBOX_MAX_SEGMENTS)
		return "has more segments than Dune can load";
	if (header->p_filesz > header->p_memsz)
		return "is corrupt: a segment is larger in the file than in memory";
	if (header->p_offset > file_bytes || file_bytes - header->p_offset < header->p_filesz)
		return "is truncated: a segment lies beyond its end";
	if (header->p_vaddr >= ADDRESS_END || header->p_memsz > ADDRESS_END - header->p_vaddr)
		return "is corrupt: a segment lies beyond the end of the address space";
	if (header->p_align & (header->p_align - 1))
		return "is corrupt: a segment's alignment is not a power of two";
	if ((header->p_vaddr - header->p_offset) % PAGE_BYTES)
		return "is corrupt: a segment cannot be mapped at its address";
	if (image->nr_segments && page_down(header->p_vaddr) < image->high)
		return "is corrupt: its segments overlap or are not in order";

	*segment = (struct sandbox_segment){
		.address = header->p_vaddr,
		.memory_bytes = header->p_memsz,
		.offset = header->p_offset,
		.file_bytes = header->p_filesz,
		.prot = (header->p_flags & PF_R ? PROT_READ : 0) |
			(header->p_flags & PF_W ? PROT_WRITE : 0) |
			(header->p_flags & PF_X ? PROT_EXEC : 0),
	};
	if (image->nr_segments++ == 0)
		image->low = page_down(header->p_vaddr);
	image->high = page_up(header->p_vaddr + header->p_memsz);
	if (header->p_align > image->align)
		image->align = header->p_align;
	return NULL;
}

static const char *read_interpreter(struct sandbox_image *image, const GElf_Phdr *header, int fd)
{
	if (image->interpreter[0])
		return "is corrupt: it names two interpreters";
	if (header->p_filesz < 2 || header->p_filesz > sizeof(image->interpreter))
		return "is corrupt: the name of its interpreter has no sensible length";
	if (pread(fd, image->interpreter, header->p_filesz, header->p_offset) !=
	    (ssize_t)header->p_filesz)
		return "is truncated: the name of its interpreter lies beyond its end";
	if (image->interpreter[header->p_filesz - 1] != '\0' || !image->interpreter[0])
		return "is corrupt: the name of its interpreter does not end";
	return NULL;
}

static const char *read_segments(struct sandbox_image *image, Elf *elf, const GElf_Ehdr *ehdr,
				 int fd, uint64_t file_bytes)
{
	for (int i = 0; i < ehdr->e_phnum; i++) {
		const char *why = NULL;
		GElf_Phdr header;

		if (!gelf_getphdr(elf, i, &header))
			return "is corrupt: a program header cannot be read";
		if (header.p_type == PT_LOAD)
			why = add_segment(image, &header, file_bytes);
		else if (header.p_type == PT_INTERP)
			why = read_interpreter(image, &header, fd);
		else if (header.p_type == PT_GNU_STACK)
			image->executable_stack = header.p_flags & PF_X;
		if (why)
			return why;
	}
	return image->nr_segments ? NULL : "is corrupt: it has nothing to load";
}

static const char *check_entry(struct sandbox_image *image, const GElf_Ehdr *header)
{
	image->entry = header->e_entry;
	image->nr_headers = header->e_phnum;
	for (unsigned i = 0; i < image->nr_segments; i++) {
		const struct sandbox_segment *segment = &image->segment[i];
		uint64_t into = header->e_phoff - segment->offset;

		if (header->e_phoff >= segment->offset && into < segment->file_bytes &&
		    segment->file_bytes - into >= header->e_phnum * sizeof(Elf64_Phdr))
			image->headers = segment->address + into;
	}
	if (header->e_entry == 0)
		return "is a shared library, not a program: it has no entry point";
	for (unsigned i = 0; i < image->nr_segments; i++) {
		const struct sandbox_segment *segment = &image->segment[i];

		if (segment->prot & PROT_EXEC && image->entry >= segment->address &&
		    image->entry - segment->address < segment->memory_bytes)
			return NULL;
	}
	return "is corrupt: its entry point is not in executable memory";
}

static const char *read_image(int fd, struct sandbox_image *image)
{
	struct stat status;
	const char *why;
	GElf_Ehdr header;
	Elf *elf;

	if (fstat(fd, &status))
		return "cannot be read";
	if (S_ISDIR(status.st_mode))
		return "is a directory";
	if (!S_ISREG(status.st_mode))
		return "is not a regular file";

	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	why = check_kind(elf, fd, status.st_size);
	if (!why && !gelf_getehdr(elf, &header))
		why = "is corrupt: its ELF header cannot be read";
	if (!why)
		why = check_header(&header, status.st_size);
	if (!why)
		why = read_segments(image, elf, &header, fd, status.st_size);
	if (!why)
		why = check_entry(image, &header);
	image->fixed = !why && header.e_type == ET_EXEC;
	elf_end(elf);
	return why;
}

int sandbox_image_read(int fd, struct sandbox_image *image, const char **why)
{
	*image = (struct sandbox_image){ .align = PAGE_BYTES };
	*why = read_image(fd, image);
	return *why ? -ENOEXEC : 0;
}
