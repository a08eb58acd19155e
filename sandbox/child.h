/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * New processes and new programs, both of which begin sandboxed.
 */
#ifndef SANDBOX_CHILD_H
#define SANDBOX_CHILD_H

struct sandbox;
struct sandbox_call;

/* Before the program ends or becomes another: if it is a vfork child, its parent sees what it wrote. */
void sandbox_child_leave(struct sandbox *box);

long emulate_fork(struct sandbox_call *call);
long emulate_vfork(struct sandbox_call *call);
long emulate_clone(struct sandbox_call *call);
long emulate_clone3(struct sandbox_call *call);
long emulate_execve(struct sandbox_call *call);
long emulate_execveat(struct sandbox_call *call);

#endif
