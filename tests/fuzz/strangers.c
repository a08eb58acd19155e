// SPDX-License-Identifier: GPL-2.0-only
/*
 * Our descriptors in other processes, and theirs in ours: by fork, and over a
 * socket. Whatever such a process calls must be refused. See fuzzer.h.
 *
 * The stranger is a process that was forked before there was a vm. It takes a
 * descriptor, calls on it, and answers with one of its own; both are told apart
 * by a byte that comes with them.
 */
#define _GNU_SOURCE
#include "fuzzer.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

struct stranger {
	int socket;
	pthread_mutex_t lock; /* for one question and its answer */
};

enum { CALLS_IN_CHILD = 12, CALLS_IN_STRANGER = 4 };

/* ---- Passing ------------------------------------------------------------------------- */

static void send_descriptor(int socket, int fd, char kind)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { &kind, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	long result;

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	if (fd < 0)
		message.msg_control = NULL, message.msg_controllen = 0;
	do
		result = sendmsg(socket, &message, MSG_NOSIGNAL);
	while (result < 0 && errno == EINTR);
	/* Somebody may just have closed it: then nothing goes with the byte. */
	if (result < 0 && errno == EBADF)
		send_descriptor(socket, -1, KIND_OTHER);
	else
		CHECK_EQ(result, 1);
}

/* Returns the descriptor or -1; *kind is -1 at the end. */
static int receive_descriptor(int socket, char *kind)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { kind, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header;
	long result;
	int fd = -1;

	do
		result = recvmsg(socket, &message, 0);
	while (result < 0 && errno == EINTR);
	if (result != 1) {
		*kind = -1;
		return -1;
	}
	header = CMSG_FIRSTHDR(&message);
	if (header)
		memcpy(&fd, CMSG_DATA(header), sizeof(int));
	return fd;
}

/* ---- In the other process -------------------------------------------------------------- */

/* What was ours is foreign from here on. */
static void become_foreign(struct world *world)
{
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		struct object *object = &world->objects[i];
		int fd = atomic_load(&object->fd);

		/* fork() copies descriptors first: a thread may have opened this since. */
		if (fd >= 0 && fcntl(fd, F_GETFD) < 0)
			atomic_store(&object->fd, OBJECT_EMPTY);
		if (object->kind == KIND_VM)
			object->kind = KIND_FOREIGN_VM;
		if (object->kind == KIND_VCPU)
			object->kind = KIND_FOREIGN_VCPU;
		object->vm = NULL;
		object->run = NULL; /* it is not copied by fork */
	}
}

static void use_foreign(struct fuzzer *fuzzer, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++)
		fuzzer_step(fuzzer);
}

static _Noreturn void be_stranger(struct world *world, int socket)
{
	struct fuzzer fuzzer = { .world = world,
				 .step = 1ull << 32, /* not what the others draw */
				 .memory = &world->memory[0] };
	char kind;

	start_ticks();
	for (unsigned turn = 0;; turn++) {
		int fd = receive_descriptor(socket, &kind);
		struct object *object, *answer;

		if (kind == -1)
			_exit(0);
		object = fd < 0 ? NULL : reserve_object(&fuzzer);
		if (object)
			fill_object(object, fd,
				    kind == KIND_VM ? KIND_FOREIGN_VM : KIND_FOREIGN_VCPU, NULL,
				    NULL);
		else if (fd >= 0)
			close(fd);
		use_foreign(&fuzzer, CALLS_IN_STRANGER);
		if (turn % 8 == 0)
			open_vm(&fuzzer);
		answer = pick_kind(&fuzzer, turn % 2 ? KIND_VM : KIND_VCPU);
		send_descriptor(socket, answer ? atomic_load(&answer->fd) : -1,
				answer ? answer->kind : KIND_OTHER);
		if (object && random_one_in(&fuzzer.random, 2))
			close_object(&fuzzer, object);
	}
}

struct stranger *stranger_start(struct world *world)
{
	struct stranger *stranger = calloc(1, sizeof(*stranger));
	int ends[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	pthread_mutex_init(&stranger->lock, NULL);
	if (!harness_fork()) {
		close(ends[0]);
		world->stranger = NULL;
		be_stranger(world, ends[1]);
	}
	close(ends[1]);
	stranger->socket = ends[0];
	return stranger;
}

/* ---- In ours ---------------------------------------------------------------------------- */

void pass_to_stranger(struct fuzzer *fuzzer)
{
	struct stranger *stranger = fuzzer->world->stranger;
	struct object *object = pick_object(fuzzer), *answer;
	int fd = atomic_load(&object->fd);
	char kind;

	if (!stranger || fd < 0 || (object->kind != KIND_VM && object->kind != KIND_VCPU))
		return;
	now_calling(fuzzer, "passing a descriptor to another process");
	pthread_mutex_lock(&stranger->lock);
	send_descriptor(stranger->socket, fd, object->kind);
	fd = receive_descriptor(stranger->socket, &kind);
	pthread_mutex_unlock(&stranger->lock);
	if (kind == -1)
		fuzzer_fail(fuzzer, "the other process is gone");
	if (fd < 0)
		return;
	answer = reserve_object(fuzzer);
	if (answer)
		fill_object(answer, fd, kind == KIND_VM ? KIND_FOREIGN_VM : KIND_FOREIGN_VCPU, NULL,
			    NULL);
	else
		close(fd);
}

void call_from_fork_child(struct fuzzer *fuzzer)
{
	pid_t child;
	int code;

	now_calling(fuzzer, "fork");
	child = fork();
	if (!child) {
		fuzzer->world->stranger = NULL;
		become_foreign(fuzzer->world);
		host_watch_forget();
		fuzzer->step += 1 << 24;
		start_ticks();
		use_foreign(fuzzer, CALLS_IN_CHILD);
		_exit(0);
	}
	expect(fuzzer, child, true, ERRNO_SET(EINTR, ENOMEM, EAGAIN));
	if (child < 0)
		return;
	code = harness_wait(child);
	if (code)
		fuzzer_fail(fuzzer, "a fork child ended with %d", code);
}
