/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flush and reload, for ring 3; leak_gadget.S. Code between the first two labels
 * is called by dune_ring3_call(). The lines are LEAK_LINES pages of memory that
 * ring 3 can read: which of them comes fast says what a load has been made with.
 */
#ifndef DUNE_TESTS_LEAK_GADGET_H
#define DUNE_TESTS_LEAK_GADGET_H

#define LEAK_LINES 256

#ifndef __ASSEMBLER__
extern const char leak_code[], leak_code_end[];
extern const char leak_flush[];	 /* (lines) */
extern const char leak_read[];	 /* (address, lines): a load by the byte at address */
extern const char leak_reload[]; /* (lines, uint32_t ticks[LEAK_LINES]) */
#endif

#endif
