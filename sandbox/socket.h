/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Socket calls whose structures have pointers in them, or whose options do.
 */
#ifndef SANDBOX_SOCKET_H
#define SANDBOX_SOCKET_H

struct sandbox_call;

long emulate_socket(struct sandbox_call *call);
long emulate_sendmsg(struct sandbox_call *call);
long emulate_recvmsg(struct sandbox_call *call);
long emulate_sendmmsg(struct sandbox_call *call);
long emulate_recvmmsg(struct sandbox_call *call);
long emulate_sockopt(struct sandbox_call *call);

#endif
