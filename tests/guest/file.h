/* SPDX-License-Identifier: GPL-2.0-only */
/* Files of procfs, sysfs and cgroups. */
#ifndef DUNE_TESTS_FILE_H
#define DUNE_TESTS_FILE_H

#include <stdbool.h>

/* Writes it at once; false with errno. */
bool file_write(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The number after the word, or the first number if the word is NULL; -1: none. */
long file_number(const char *path, const char *word);

#endif
