/* SPDX-License-Identifier: GPL-2.0-only */
/* Loading and unloading kernel modules, for tests that do; see module.c. */
#ifndef DUNE_TESTS_MODULE_H
#define DUNE_TESTS_MODULE_H

#include <stdbool.h>
#include <stddef.h>

bool module_is_loaded(const char *name);
/* 0 or -errno. */
int module_unload(const char *name);
/* Opens one of our own modules, by its name without .ko: -1 with errno. */
int module_open(const char *name);
/* Loads one of them: 0 or -errno. */
int module_load(const char *name, const char *parameters);
/* Writes a parameter of a loaded module: 0 or -errno. */
int module_write_parameter(const char *name, const char *parameter, const char *value);
/* dune.ko, with the parameters it had when it was first asked for. */
int module_load_dune(void);
/* … and with these, too, which override them. */
int module_load_dune_with(const char *parameters);

/* What the host says of a vulnerability. */
struct module_status {
	const char *vulnerability, *text;
};
/* … where it says these instead of what it does, and with unsafe=1. */
int module_load_dune_where(const struct module_status *statuses, size_t nr);

/* By modprobe: its exit status. */
int module_probe(const char *name);
/* The same with parameters, which may be NULL. */
int module_probe_with(const char *name, const char *parameter, const char *other);

#endif
