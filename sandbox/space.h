/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one place where addresses that come from ring 3 are believed or not. Everything that a
 * system call reads from ring 3 and then judges is copied here first and used from the copy.
 * Called in ring 0 by syscall.c and the emulate_ functions; all need no lock.
 */
#ifndef SANDBOX_SPACE_H
#define SANDBOX_SPACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define SANDBOX_MAX_IOVEC 1024 /* UIO_MAXIOV of the kernel */

/* 0, or -EFAULT if [address, address + bytes) is not wholly ring 3's. Nothing is asked of 0 bytes. */
int sandbox_space_check(uint64_t address, uint64_t bytes);

/* The same for count things of this size; a product that overflows is -EFAULT. */
int sandbox_space_check_array(uint64_t address, uint64_t count, uint64_t bytes);

/* Copies from and to ring 3. 0 or -EFAULT. */
int sandbox_space_read(void *to, uint64_t from, size_t bytes);
int sandbox_space_write(uint64_t to, const void *from, size_t bytes);

/*
 * Copies a string with its NUL. Its length without NUL; -EFAULT; -ENAMETOOLONG if there is no NUL
 * within `bytes` bytes. What could be read is in `to` and ends with NUL in any case.
 */
long sandbox_space_read_string(char *to, uint64_t from, size_t bytes);

/*
 * Copies an array of iovecs and checks each: -EINVAL for too many or for lengths that the kernel
 * would not take, -EFAULT for one that does not lie in ring 3. Empty ones get base NULL.
 */
int sandbox_space_read_iovec(struct iovec to[SANDBOX_MAX_IOVEC], uint64_t from, uint64_t count);

#endif
