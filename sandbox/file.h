/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls on files by their names that need more than a check of their pointers, and what may
 * be opened.
 */
#ifndef SANDBOX_FILE_H
#define SANDBOX_FILE_H

struct sandbox;
struct sandbox_call;

/*
 * judge.c: whether ring 3 may have what was opened as fd with these O_ flags, by the inode and not
 * by the spelling of a path. 0 or -EACCES.
 */
int sandbox_file_judge(int fd, int flags);

/*
 * What to open for a path: for one that names the executable of the process, which is the sandbox, a
 * name in `own` for the program, which is meant; else the path itself.
 */
#define SANDBOX_OWN_PATH_BYTES 32
const char *sandbox_file_opened(const struct sandbox *box, const char *path,
				char own[SANDBOX_OWN_PATH_BYTES]);

long emulate_open(struct sandbox_call *call);
long emulate_openat(struct sandbox_call *call);
long emulate_openat2(struct sandbox_call *call);
long emulate_creat(struct sandbox_call *call);
long emulate_readlink(struct sandbox_call *call);
long emulate_readlinkat(struct sandbox_call *call);
long emulate_mknod(struct sandbox_call *call);
long emulate_mknodat(struct sandbox_call *call);
long emulate_memfd_create(struct sandbox_call *call);

#endif
