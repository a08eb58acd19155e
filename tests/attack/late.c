// SPDX-License-Identifier: GPL-2.0-only
/* Pages that come late, by userfaultfd; see late.h. late_file.c has the other kind. */
#define _GNU_SOURCE
#include "late.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static uintptr_t second_page(const struct late *late)
{
	return (uintptr_t)late->pages + LATE_PAGE;
}

static void wait_for_fault(struct late *late)
{
	struct uffd_msg message;

	CHECK_EQ(read(late->fd, &message, sizeof(message)), sizeof(message));
	CHECK_EQ(message.event, UFFD_EVENT_PAGEFAULT);
	CHECK_EQ(message.arg.pagefault.address & -(uint64_t)LATE_PAGE, second_page(late));
}

static void copy_page(struct late *late, const void *page)
{
	struct uffdio_copy copy = {
		.dst = second_page(late),
		.src = (uintptr_t)page,
		.len = LATE_PAGE,
	};

	CHECK_OK(ioctl(late->fd, UFFDIO_COPY, &copy));
}

static void protect(struct late *late, uint64_t mode)
{
	struct uffdio_writeprotect change = {
		.range = { second_page(late), LATE_PAGE },
		.mode = mode,
	};

	CHECK_OK(ioctl(late->fd, UFFDIO_WRITEPROTECT, &change));
}

static void allow_writing(struct late *late, const void *page)
{
	(void)page;
	protect(late, 0);
}

static void open_userfaultfd(struct late *late, uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = mode };

	late->pages = mmap(NULL, 2 * LATE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	CHECK(late->pages != MAP_FAILED);
	late->pages[0] = 0;
	late->fd = CHECK_OK(syscall(SYS_userfaultfd, O_CLOEXEC));
	CHECK_OK(ioctl(late->fd, UFFDIO_API, &api));
	range.range.start = second_page(late);
	range.range.len = LATE_PAGE;
	CHECK_OK(ioctl(late->fd, UFFDIO_REGISTER, &range));
	late->wait = wait_for_fault;
}

void late_userfault(struct late *late)
{
	open_userfaultfd(late, UFFDIO_REGISTER_MODE_MISSING);
	late->fill = copy_page;
}

void late_write(struct late *late)
{
	open_userfaultfd(late, UFFDIO_REGISTER_MODE_WP);
	late->fill = allow_writing;
	late->pages[LATE_PAGE] = 0;
	protect(late, UFFDIO_WRITEPROTECT_MODE_WP);
}
