/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the sandbox itself has to say, on a stderr of its own: the program may close or redirect the
 * one it has. Its children have none but theirs, unless they are counted: whoever reads to the end of
 * what was stderr at first does not wait for a daemon that has left it. Called by main.c and child.c.
 */
#ifndef SANDBOX_REPORT_H
#define SANDBOX_REPORT_H

struct dune_ring3_end;
struct sandbox;

/* Before anything else here; where box->report_fd is not open yet, it is from now on. */
void sandbox_report_open(struct sandbox *box);

/* In a child. */
void sandbox_report_leave(struct sandbox *box);

/* Which exception ended the program. The signal that Linux would have sent. */
int sandbox_report_fault(const struct sandbox *box, const struct dune_ring3_end *end);

/* What --count shows. */
void sandbox_report_counts(const struct sandbox *box);

#endif
