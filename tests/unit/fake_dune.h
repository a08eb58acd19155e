/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libdune as the sandbox's unit tests need it: arenas are ordinary memory, system calls are made
 * as they are. Ring 3 is the test, which makes its calls with RING3().
 */
#ifndef FAKE_DUNE_H
#define FAKE_DUNE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

struct sandbox;

/* A sandbox with one arena. */
struct sandbox *fake_sandbox(void);

/* Address of a fresh page of ring 3's memory, readable and writable. */
uint64_t fake_page(struct sandbox *box);

/* What a group of tests works on: cmocka's set-up makes both. */
extern struct sandbox *box;
extern uint64_t page;
int fake_set_up(void **state);

/* No byte of the box's arena is unmapped: /proc/self/maps shows it without a gap. */
void fake_check_no_hole(void);

/* Makes a system call as ring 3 would; the raw result. */
#define RING3(box, nr, ...) fake_syscall(box, nr, (uint64_t[6]){ __VA_ARGS__ })
long fake_syscall(struct sandbox *box, uint64_t nr, const uint64_t args[6]);

/* True after a call that ended the program. */
extern bool fake_stopped;

#endif
