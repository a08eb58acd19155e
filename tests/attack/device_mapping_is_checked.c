// SPDX-License-Identifier: GPL-2.0-only
/* The page that a vcpu shares: only whole, shared, not executable, not inherited. */
#define _GNU_SOURCE
#include "raw.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum { RW = PROT_READ | PROT_WRITE };

static void refuse(int fd, size_t bytes, int prot, int flags, off_t offset, const char *what)
{
	errno = 0;
	if (mmap(NULL, bytes, prot, flags, fd, offset) != MAP_FAILED)
		FAIL("mapped: %s", what);
	if (errno != EINVAL && errno != EACCES && errno != EPERM)
		FAIL("%s: errno %d (%s)", what, errno, strerror(errno));
}

static void only_the_page_itself(void)
{
	struct raw raw;

	raw_create(&raw);
	refuse(raw.vcpu, 4096, RW, MAP_SHARED, 4096, "the second page");
	refuse(raw.vcpu, 4096, RW, MAP_SHARED, 1l << 40, "an offset far away");
	refuse(raw.vcpu, 8192, RW, MAP_SHARED, 0, "two pages");
	refuse(raw.vcpu, 1 << 21, RW, MAP_SHARED, 0, "2 MiB");
	refuse(raw.vcpu, 4096, RW, MAP_PRIVATE, 0, "a private copy");
	refuse(raw.vcpu, 4096, RW | PROT_EXEC, MAP_SHARED, 0, "executable");
}

static void the_vm_has_no_pages(void)
{
	struct raw raw;

	raw_open(&raw);
	CHECK(mmap(NULL, 4096, RW, MAP_SHARED, raw.device, 0) == MAP_FAILED);
	CHECK(errno == ENODEV);
}

static void cannot_become_executable(void)
{
	struct raw raw;

	raw_create(&raw);
	CHECK_ERRNO(mprotect(raw.run, 4096, PROT_READ | PROT_EXEC), EACCES);
}

static void cannot_grow(void)
{
	struct raw raw;

	raw_create(&raw);
	CHECK(mremap(raw.run, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK_EQ(errno, EFAULT);
}

static void may_move_and_go(void)
{
	struct raw raw;
	void *place = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK(mremap(raw.run, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
	raw.run = place;
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], 2);
	CHECK_OK(munmap(raw.run, 4096));
	/* The vcpu does not need it to be mapped. */
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	raw.run = mmap(NULL, 4096, RW, MAP_SHARED, raw.vcpu, 0);
	CHECK(raw.run != MAP_FAILED);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], 3);
}

static void outlives_the_descriptors(void)
{
	struct raw raw;

	raw_create(&raw);
	raw_load(&raw, raw_count, 0, 0);
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	close(raw.vcpu);
	close(raw.device);
	CHECK_EQ(raw.run->gpr[DUNE_RBX], 1);
	raw.run->gpr[DUNE_RBX] = 2;
}

/* What is done to anonymous memory must not be done to it. */
static void is_not_anonymous_memory(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range.len = DUNE_RUN_SIZE,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct raw raw;
	int userfaultfd;

	raw_create(&raw);
	range.range.start = (uintptr_t)raw.run;
	userfaultfd = CHECK_OK(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
	CHECK_OK(ioctl(userfaultfd, UFFDIO_API, &api));
	CHECK_ERRNO(ioctl(userfaultfd, UFFDIO_REGISTER, &range), EINVAL);
	CHECK_ERRNO(madvise(raw.run, DUNE_RUN_SIZE, MADV_FREE), EINVAL);
}

static void is_not_inherited(void)
{
	struct raw raw;
	unsigned char resident;
	pid_t child;

	raw_create(&raw);
	child = harness_fork();
	if (!child) {
		/* mincore() says ENOMEM where nothing is mapped. */
		CHECK_ERRNO(mincore(raw.run, 4096, &resident), ENOMEM);
		CHECK(mmap(NULL, 4096, RW, MAP_SHARED, raw.vcpu, 0) == MAP_FAILED);
		CHECK_EQ(errno, ESTALE);
		_exit(0);
	}
	JOIN(child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(only_the_page_itself),     guest_test(the_vm_has_no_pages),
		guest_test(cannot_become_executable), guest_test(cannot_grow),
		guest_test(may_move_and_go),	      guest_test(outlives_the_descriptors),
		guest_test(is_not_inherited),	      guest_test(is_not_anonymous_memory),
	};

	return run_guest_tests(tests);
}
