/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * New processes and new programs, both of which begin sandboxed.
 */
#ifndef SANDBOX_CHILD_H
#define SANDBOX_CHILD_H

struct sandbox_call;

long emulate_fork(struct sandbox_call *call);
long emulate_vfork(struct sandbox_call *call);
long emulate_clone(struct sandbox_call *call);
long emulate_clone3(struct sandbox_call *call);
long emulate_execve(struct sandbox_call *call);
long emulate_execveat(struct sandbox_call *call);

#endif
