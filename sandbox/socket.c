// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets: messages and options. Called from syscall.c in ring 0. Control data is not carried in
 * either direction: descriptors that arrive with it would not have been judged by file.c.
 */
#include "socket.h"
#include "sandbox.h"

#include <dune.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

/* socket, socketpair. */
long emulate_socket(struct sandbox_call *call)
{
	switch ((int)call->arg[0]) {
	case AF_UNIX:
	case AF_INET:
	case AF_INET6:
		break;
	default:
		return -EAFNOSUPPORT;
	}
	switch ((int)call->arg[1] & 0xf) {
	case SOCK_STREAM:
	case SOCK_DGRAM:
	case SOCK_SEQPACKET:
		return sandbox_call_forward(call);
	default:
		return -EPERM; /* raw and packet sockets */
	}
}

/* The header and what it points to; the header then points to the copy of the iovecs. */
static long read_header(struct sandbox_call *call, struct msghdr *header)
{
	long result;

	if (sandbox_space_read(header, call->arg[1], sizeof(*header)))
		return -EFAULT;
	if (header->msg_iovlen > SANDBOX_MAX_IOVEC)
		return -EMSGSIZE;
	if (header->msg_namelen > sizeof(struct sockaddr_storage))
		header->msg_namelen = sizeof(struct sockaddr_storage);
	if (!header->msg_name)
		header->msg_namelen = 0;
	if (sandbox_space_check((uint64_t)header->msg_name, header->msg_namelen))
		return -EFAULT;
	result = sandbox_space_read_iovec(call->iovec, (uint64_t)header->msg_iov,
					  header->msg_iovlen);
	header->msg_iov = call->iovec;
	return result;
}

long emulate_sendmsg(struct sandbox_call *call)
{
	struct msghdr header;
	long result = read_header(call, &header);

	if (result)
		return result;
	if (header.msg_controllen)
		return -EPERM;
	header.msg_control = NULL;
	return dune_syscall(call->nr, call->arg[0], (long)&header, (int)call->arg[2], 0, 0, 0);
}

long emulate_recvmsg(struct sandbox_call *call)
{
	struct msghdr header;
	long result = read_header(call, &header);

	if (result)
		return result;
	header.msg_control = NULL;
	header.msg_controllen = 0;
	result = dune_syscall(call->nr, call->arg[0], (long)&header, (int)call->arg[2], 0, 0, 0);
	if (result < 0)
		return result;
	if (sandbox_space_write(call->arg[1] + offsetof(struct msghdr, msg_namelen),
				&header.msg_namelen, sizeof(header.msg_namelen)) ||
	    sandbox_space_write(call->arg[1] + offsetof(struct msghdr, msg_controllen),
				&header.msg_controllen,
				sizeof(header.msg_controllen) + sizeof(header.msg_flags)))
		return -EFAULT;
	return result;
}

/* Options that are numbers or short structures: no pointers, programs or descriptors in them. */
static const struct {
	int level, option;
} options[] = {
	{ SOL_SOCKET, SO_REUSEADDR },	{ SOL_SOCKET, SO_REUSEPORT },
	{ SOL_SOCKET, SO_TYPE },	{ SOL_SOCKET, SO_PROTOCOL },
	{ SOL_SOCKET, SO_DOMAIN },	{ SOL_SOCKET, SO_ERROR },
	{ SOL_SOCKET, SO_BROADCAST },	{ SOL_SOCKET, SO_SNDBUF },
	{ SOL_SOCKET, SO_RCVBUF },	{ SOL_SOCKET, SO_KEEPALIVE },
	{ SOL_SOCKET, SO_LINGER },	{ SOL_SOCKET, SO_RCVTIMEO },
	{ SOL_SOCKET, SO_SNDTIMEO },	{ SOL_SOCKET, SO_ACCEPTCONN },
	{ SOL_SOCKET, SO_PEERCRED },	{ IPPROTO_TCP, TCP_NODELAY },
	{ IPPROTO_TCP, TCP_MAXSEG },	{ IPPROTO_TCP, TCP_CORK },
	{ IPPROTO_TCP, TCP_KEEPIDLE },	{ IPPROTO_TCP, TCP_KEEPINTVL },
	{ IPPROTO_TCP, TCP_KEEPCNT },	{ IPPROTO_TCP, TCP_QUICKACK },
	{ IPPROTO_TCP, TCP_INFO },	{ IPPROTO_TCP, TCP_USER_TIMEOUT },
	{ IPPROTO_IP, IP_TOS },		{ IPPROTO_IP, IP_TTL },
	{ IPPROTO_IP, IP_RECVERR },	{ IPPROTO_IPV6, IPV6_V6ONLY },
	{ IPPROTO_IPV6, IPV6_RECVERR }, { IPPROTO_IPV6, IPV6_UNICAST_HOPS },
};

/* getsockopt, setsockopt. */
long emulate_sockopt(struct sandbox_call *call)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].level == (int)call->arg[1] && options[i].option == (int)call->arg[2])
			return sandbox_call_forward(call);
	return -ENOPROTOOPT;
}
