// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sockets: messages and options. Called from syscall.c in ring 0. Control data is not carried in
 * either direction: descriptors that arrive with it would not have been judged by judge.c.
 */
#include "socket.h"
#include "sandbox.h"

#include <dune.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

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

/* ---- Messages ------------------------------------------------------------ */

/* The header at `from` and what it points to; the header then points to the copy of the iovecs. */
static long read_header(struct sandbox_call *call, uint64_t from, struct msghdr *header)
{
	long result;

	if (sandbox_space_read(header, from, sizeof(*header)))
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

static long send_message(struct sandbox_call *call, uint64_t at, int flags)
{
	struct msghdr header;
	long result = read_header(call, at, &header);

	if (result)
		return result;
	if (header.msg_controllen)
		return -EPERM;
	header.msg_control = NULL;
	return dune_syscall(SYS_sendmsg, call->arg[0], (long)&header, flags, 0, 0, 0);
}

static long receive_message(struct sandbox_call *call, uint64_t at, int flags)
{
	struct msghdr header;
	long result = read_header(call, at, &header);

	if (result)
		return result;
	header.msg_control = NULL;
	header.msg_controllen = 0;
	result = dune_syscall(SYS_recvmsg, call->arg[0], (long)&header, flags, 0, 0, 0);
	if (result < 0)
		return result;
	if (sandbox_space_write(at + offsetof(struct msghdr, msg_namelen), &header.msg_namelen,
				sizeof(header.msg_namelen)) ||
	    sandbox_space_write(at + offsetof(struct msghdr, msg_controllen),
				&header.msg_controllen,
				sizeof(header.msg_controllen) + sizeof(header.msg_flags)))
		return -EFAULT;
	return result;
}

long emulate_sendmsg(struct sandbox_call *call)
{
	return send_message(call, call->arg[1], call->arg[2]);
}

long emulate_recvmsg(struct sandbox_call *call)
{
	return receive_message(call, call->arg[1], call->arg[2]);
}

/* ---- Several of them ----------------------------------------------------- */

static uint64_t nr_messages(const struct sandbox_call *call)
{
	return call->arg[2] < SANDBOX_MAX_IOVEC ? call->arg[2] : SANDBOX_MAX_IOVEC;
}

static uint64_t message_at(const struct sandbox_call *call, long i)
{
	return call->arg[1] + i * sizeof(struct mmsghdr);
}

/* The result of sending or receiving one goes to its msg_len. 0 or -errno. */
static long note_length(uint64_t at, long result)
{
	unsigned length = result;

	if (result < 0)
		return result;
	return sandbox_space_write(at + offsetof(struct mmsghdr, msg_len), &length, sizeof(length));
}

/* How many were sent counts, unless it was none. */
long emulate_sendmmsg(struct sandbox_call *call)
{
	long done = 0, result = 0, count = nr_messages(call);

	while (done < count) {
		uint64_t at = message_at(call, done);

		result = note_length(at, send_message(call, at, call->arg[3]));
		if (result)
			break;
		done++;
	}
	return done ? done : result;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* The time of a timeout; the largest there is for one that is further away. -EINVAL. */
static long read_deadline(uint64_t from, int64_t *deadline)
{
	struct timespec timeout;

	*deadline = INT64_MAX;
	if (!from)
		return 0;
	if (sandbox_space_read(&timeout, from, sizeof(timeout)))
		return -EFAULT;
	if (timeout.tv_sec < 0 || timeout.tv_nsec < 0 || timeout.tv_nsec >= 1000000000)
		return -EINVAL;
	if (timeout.tv_sec < INT64_MAX / 4000000000ll)
		*deadline = now_ns() + timeout.tv_sec * 1000000000ll + timeout.tv_nsec;
	return 0;
}

static long write_rest(uint64_t to, int64_t deadline)
{
	int64_t rest = deadline - now_ns();
	struct timespec timeout;

	if (!to || deadline == INT64_MAX)
		return 0;
	if (rest < 0)
		rest = 0;
	timeout = (struct timespec){ rest / 1000000000, rest % 1000000000 };
	return sandbox_space_write(to, &timeout, sizeof(timeout));
}

/* As Linux has it, the time is looked at after each message, and nowhere else. */
long emulate_recvmmsg(struct sandbox_call *call)
{
	long done = 0, result, count = nr_messages(call);
	int flags = call->arg[3];
	int64_t deadline;

	result = read_deadline(call->arg[4], &deadline);
	if (result)
		return result;
	while (done < count) {
		uint64_t at = message_at(call, done);

		result = note_length(at, receive_message(call, at, flags & ~MSG_WAITFORONE));
		if (result)
			break;
		done++;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (deadline != INT64_MAX && now_ns() >= deadline)
			break;
	}
	if (!done)
		return result;
	return write_rest(call->arg[4], deadline) ? -EFAULT : done;
}

/* ---- Options -------------------------------------------------------------- */

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
