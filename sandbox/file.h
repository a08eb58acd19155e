/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls on files and descriptors that need more than a check of their pointers: what may be
 * opened, and the descriptors that the runtime keeps to itself.
 */
#ifndef SANDBOX_FILE_H
#define SANDBOX_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct sandbox;
struct sandbox_call;

/* A bit for each descriptor below 1024 that is open now; -errno if that cannot be found out. */
#define SANDBOX_FD_WORDS 16
int sandbox_fds_list(uint64_t open[SANDBOX_FD_WORDS]);

/* Hides all descriptors that are open now and were not then. 0 or -errno. */
int sandbox_fds_hide_new(struct sandbox *box, const uint64_t before[SANDBOX_FD_WORDS]);

/* True if this descriptor, as ring 3 gave it, is the runtime's: to ring 3 it is not open. */
bool sandbox_fds_hidden(const struct sandbox *box, uint64_t fd);

/*
 * Whether ring 3 may have what was opened as fd with these O_ flags: judged by the inode, so that
 * no spelling of a path helps. 0 or -EACCES.
 */
int sandbox_file_judge(int fd, int flags);

/*
 * For a path that names the executable of the process, which is the sandbox: the program's path,
 * which is meant. NULL if the path is another one.
 */
const char *sandbox_file_own_executable(const struct sandbox *box, const char *path);

long emulate_open(struct sandbox_call *call);
long emulate_openat(struct sandbox_call *call);
long emulate_openat2(struct sandbox_call *call);
long emulate_creat(struct sandbox_call *call);
long emulate_readlink(struct sandbox_call *call);
long emulate_readlinkat(struct sandbox_call *call);
long emulate_mknod(struct sandbox_call *call);
long emulate_mknodat(struct sandbox_call *call);
long emulate_memfd_create(struct sandbox_call *call);
long emulate_close_range(struct sandbox_call *call);
long emulate_fcntl(struct sandbox_call *call);
long emulate_ioctl(struct sandbox_call *call);
long emulate_select(struct sandbox_call *call);
long emulate_pselect6(struct sandbox_call *call);

#endif
