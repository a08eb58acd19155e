/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions that each raise one exception, then return 7. r11 holds the address
 * after the instruction and r10 the stack to go on with, for handlers. They do
 * not depend on where they are, so they also run in ring 3.
 */
#ifndef DUNE_TESTS_FAULTS_H
#define DUNE_TESTS_FAULTS_H

extern const char faults[], faults_end[];
extern const char fault_divide[], fault_debug[], fault_step[], fault_breakpoint[], fault_overflow[];
extern const char fault_undefined[], fault_stack[], fault_protection[], fault_selector[];
extern const char fault_x87[], fault_alignment[], fault_simd[], fault_movaps[];
extern const char fault_read[], fault_write[], fault_call[]; /* of the argument */
extern const char fault_nothing[];

#endif
