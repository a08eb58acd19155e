// SPDX-License-Identifier: GPL-2.0-only
/* See call_sites.h: relocations of the module against symbols that it does not have. */
#define _GNU_SOURCE
#include "call_sites.h"

#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CALL = 0xe8, CALL_BYTES = 4 /* of the operand */ };

struct module {
	Elf *elf;
	Elf_Data *symbols;
	size_t nr_symbols, strings; /* index of the section */
};

static const char *symbol_name(const struct module *module, const GElf_Sym *symbol)
{
	return elf_strptr(module->elf, module->strings, symbol->st_name) ?: "";
}

static bool find_symbols(struct module *module)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	while ((section = elf_nextscn(module->elf, section))) {
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB)
			continue;
		module->symbols = elf_getdata(section, NULL);
		module->nr_symbols = header.sh_size / header.sh_entsize;
		module->strings = header.sh_link;
		return module->symbols;
	}
	return false;
}

/* The names of the function there: init_module is one of two. */
static void name_place(const struct module *module, struct call_site *site, size_t section,
		       GElf_Addr address)
{
	unsigned names = 0;
	GElf_Sym symbol;

	for (size_t i = 0; i < module->nr_symbols && names < MAX_SITE_NAMES; i++) {
		gelf_getsym(module->symbols, i, &symbol);
		if (symbol.st_shndx != section || GELF_ST_TYPE(symbol.st_info) != STT_FUNC ||
		    address < symbol.st_value || address - symbol.st_value >= symbol.st_size)
			continue;
		snprintf(site->place[names++], sizeof(site->place[0]), "%.60s+%#lx",
			 symbol_name(module, &symbol), (unsigned long)(address - symbol.st_value));
	}
}

static void add_site(struct call_sites *sites, const struct module *module, size_t section,
		     const unsigned char *code, const GElf_Rela *relocation)
{
	struct call_site *site = &sites->site[sites->count];
	GElf_Sym symbol;

	gelf_getsym(module->symbols, GELF_R_SYM(relocation->r_info), &symbol);
	if (symbol.st_shndx != SHN_UNDEF || GELF_R_TYPE(relocation->r_info) != R_X86_64_PLT32 ||
	    sites->count == MAX_SITES || !relocation->r_offset)
		return;
	memset(site, 0, sizeof(*site));
	snprintf(site->symbol, sizeof(site->symbol), "%.63s", symbol_name(module, &symbol));
	site->is_jump = code[relocation->r_offset - 1] != CALL;
	name_place(module, site, section, relocation->r_offset + CALL_BYTES);
	sites->count++;
}

static void add_sites(struct call_sites *sites, const struct module *module, Elf_Scn *relocations,
		      const GElf_Shdr *header)
{
	Elf_Scn *target = elf_getscn(module->elf, header->sh_info);
	Elf_Data *data = elf_getdata(relocations, NULL), *code;
	GElf_Shdr target_header;
	GElf_Rela relocation;

	if (!target || !gelf_getshdr(target, &target_header) ||
	    !(target_header.sh_flags & SHF_EXECINSTR))
		return;
	code = elf_getdata(target, NULL);
	for (size_t i = 0; i < header->sh_size / header->sh_entsize; i++)
		if (gelf_getrela(data, i, &relocation) && relocation.r_offset < code->d_size)
			add_site(sites, module, header->sh_info, code->d_buf, &relocation);
}

const char *call_sites_read(struct call_sites *sites, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct module module = { 0 };
	const char *wrong = NULL;
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	sites->count = 0;
	if (fd < 0)
		return "it cannot be opened";
	elf_version(EV_CURRENT);
	module.elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!module.elf || !find_symbols(&module))
		wrong = "it is not an ELF file with symbols";
	while (!wrong && (section = elf_nextscn(module.elf, section)))
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_RELA)
			add_sites(sites, &module, section, &header);
	elf_end(module.elf);
	close(fd);
	return wrong ?: sites->count ? NULL : "it calls nothing";
}

bool call_sites_have(const struct call_sites *sites, const char *symbol)
{
	for (size_t i = 0; i < sites->count; i++)
		if (!strcmp(sites->site[i].symbol, symbol))
			return true;
	return false;
}

static bool is_at(const struct call_site *site, const char *place)
{
	size_t length = strcspn(place, "/");

	for (unsigned i = 0; i < MAX_SITE_NAMES; i++)
		if (strlen(site->place[i]) == length && !strncmp(site->place[i], place, length))
			return true;
	return false;
}

void call_sites_reach(struct call_sites *sites, const char *symbol, const char *place)
{
	for (size_t i = 0; i < sites->count; i++) {
		struct call_site *site = &sites->site[i];

		if (!strcmp(site->symbol, symbol) && !site->is_jump && is_at(site, place)) {
			site->reached = true;
			return;
		}
	}
	for (size_t i = 0; i < sites->count; i++) {
		struct call_site *site = &sites->site[i];

		if (!strcmp(site->symbol, symbol) && site->is_jump && !site->reached) {
			site->reached = true;
			return;
		}
	}
}
