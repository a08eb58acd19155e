/* SPDX-License-Identifier: GPL-2.0-only */
/* The descriptors that the runtime keeps to itself, and system calls on descriptors. */
#ifndef SANDBOX_DESCRIPTOR_H
#define SANDBOX_DESCRIPTOR_H

#include <stdbool.h>
#include <stdint.h>

struct sandbox;
struct sandbox_call;

/* A bit for each descriptor below SANDBOX_MAX_FDS that is open now; -errno if that cannot be found out. */
#define SANDBOX_FD_WORDS 16
#define SANDBOX_MAX_FDS	 (SANDBOX_FD_WORDS * 64)
int sandbox_fds_list(uint64_t open[SANDBOX_FD_WORDS]);

/* Hides all descriptors that are open now and were not then. 0 or -errno. */
int sandbox_fds_hide_new(struct sandbox *box, const uint64_t before[SANDBOX_FD_WORDS]);

/* True if this descriptor, as ring 3 gave it, is the runtime's: to ring 3 it is not open. */
bool sandbox_fds_hidden(const struct sandbox *box, uint64_t fd);

/*
 * A copy on a high number, if one is free, so that the program's first descriptors are the ones it
 * expects; close-on-exec. -errno. The second closes fd, or leaves it where it is.
 */
int sandbox_fds_copy_high(int fd);
int sandbox_fds_move_high(int fd);

long emulate_close_range(struct sandbox_call *call);
long emulate_fcntl(struct sandbox_call *call);
long emulate_ioctl(struct sandbox_call *call);

#endif
