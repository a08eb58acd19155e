// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file whose second page comes late: a file system of one file, served by a
 * process of its own in the kernel's FUSE protocol (<linux/fuse.h>). See late.h.
 */
#define _GNU_SOURCE
#include "late.h"
#include "module.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define MOUNT_POINT "/mnt"
enum { FILE_NODE = FUSE_ROOT_ID + 1, REQUEST_BYTES = FUSE_MIN_READ_BUFFER };

/* ---- The server -------------------------------------------------------------- */

struct request {
	struct fuse_in_header header;
	char body[REQUEST_BYTES];
};

static void reply(int fuse, const struct request *request, int error, const void *body,
		  size_t bytes)
{
	static struct {
		struct fuse_out_header header;
		char body[LATE_PAGE];
	} answer;

	answer.header.len = sizeof(answer.header) + bytes;
	answer.header.error = error;
	answer.header.unique = request->header.unique;
	memcpy(answer.body, body, bytes);
	CHECK_EQ(write(fuse, &answer, answer.header.len), answer.header.len);
}

static struct fuse_attr attributes(uint64_t node)
{
	int file = node == FILE_NODE;

	return (struct fuse_attr){
		.ino = node,
		.size = file ? 2 * LATE_PAGE : 0,
		.mode = file ? S_IFREG | 0600 : S_IFDIR | 0700,
		.nlink = 1,
	};
}

static void reply_init(int fuse, const struct request *request)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 0, /* page by page */
		.max_write = LATE_PAGE,
	};

	reply(fuse, request, 0, &out, sizeof(out));
}

static void reply_lookup(int fuse, const struct request *request)
{
	struct fuse_entry_out out = {
		.nodeid = FILE_NODE,
		.entry_valid = INT_MAX,
		.attr_valid = INT_MAX,
		.attr = attributes(FILE_NODE),
	};

	reply(fuse, request, 0, &out, sizeof(out));
}

static void reply_attributes(int fuse, const struct request *request)
{
	struct fuse_attr_out out = {
		.attr_valid = INT_MAX,
		.attr = attributes(request->header.nodeid),
	};

	reply(fuse, request, 0, &out, sizeof(out));
}

/* The first page is zero, the second what the test sends when it likes. */
static void reply_read(int fuse, const struct request *request, int test)
{
	const struct fuse_read_in *in = (const void *)request->body;
	char page[LATE_PAGE] = { 0 };

	if (in->offset >= LATE_PAGE) {
		CHECK_EQ(write(test, "", 1), 1);
		if (read(test, page, sizeof(page)) != sizeof(page))
			_exit(0); /* the test has ended */
	}
	reply(fuse, request, 0, page, sizeof(page));
}

static _Noreturn void serve(int fuse, int test)
{
	static struct request request;
	struct fuse_open_out opened = { 0 };

	for (;;) {
		if (read(fuse, &request, sizeof(request)) < 0)
			_exit(0); /* unmounted */
		switch (request.header.opcode) {
		case FUSE_INIT:
			reply_init(fuse, &request);
			break;
		case FUSE_LOOKUP:
			reply_lookup(fuse, &request);
			break;
		case FUSE_GETATTR:
			reply_attributes(fuse, &request);
			break;
		case FUSE_OPEN:
			reply(fuse, &request, 0, &opened, sizeof(opened));
			break;
		case FUSE_READ:
			reply_read(fuse, &request, test);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
			break; /* no answer is wanted */
		default:
			reply(fuse, &request, -ENOSYS, NULL, 0);
		}
	}
}

/* ---- The test ---------------------------------------------------------------- */

static void wait_for_read(struct late *late)
{
	char byte;

	CHECK_EQ(read(late->fd, &byte, 1), 1);
}

static void send_page(struct late *late, const void *page)
{
	CHECK_EQ(write(late->fd, page, LATE_PAGE), LATE_PAGE);
}

static void mount_it(int fuse)
{
	char options[64];

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	CHECK_OK(unshare(CLONE_NEWNS)); /* it goes with this process */
	CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CHECK_OK(mount("late", MOUNT_POINT, "fuse", 0, options));
}

_Bool late_file(struct late *late)
{
	int fuse, file, sockets[2];

	if (access("/dev/fuse", F_OK))
		module_probe("fuse");
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0)
		return 0;
	mount_it(fuse);
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	if (!harness_fork()) {
		close(sockets[0]);
		serve(fuse, sockets[1]);
	}
	close(fuse);
	close(sockets[1]);
	file = CHECK_OK(open(MOUNT_POINT "/late", O_RDWR | O_CLOEXEC));
	late->pages = mmap(NULL, 2 * LATE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	CHECK(late->pages != MAP_FAILED);
	CHECK_OK(madvise(late->pages, 2 * LATE_PAGE, MADV_RANDOM));
	late->pages[0] = 0;
	late->fd = sockets[0];
	late->wait = wait_for_read;
	late->fill = send_page;
	return 1;
}
