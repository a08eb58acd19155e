// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks and copies of ring-3 memory. Ring 0 may touch an arena only through libdune's copy
 * functions (SMAP); a pointer that is forwarded to the kernel is checked here and nowhere else.
 */
#include "space.h"

#include <dune.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define PAGE_BYTES 4096u

int sandbox_space_check(uint64_t address, uint64_t bytes)
{
	return bytes == 0 || dune_arena_contains(address, bytes) ? 0 : -EFAULT;
}

int sandbox_space_check_array(uint64_t address, uint64_t count, uint64_t bytes)
{
	uint64_t total;

	if (__builtin_mul_overflow(count, bytes, &total))
		return -EFAULT;
	return sandbox_space_check(address, total);
}

int sandbox_space_read(void *to, uint64_t from, size_t bytes)
{
	return bytes ? dune_copy_from_user(to, from, bytes) : 0;
}

int sandbox_space_write(uint64_t to, const void *from, size_t bytes)
{
	return bytes ? dune_copy_to_user(to, from, bytes) : 0;
}

/* Page by page, since the string may end just before memory that is not there. */
long sandbox_space_read_string(char *to, uint64_t from, size_t bytes)
{
	size_t done = 0;

	to[0] = '\0';
	while (done < bytes) {
		size_t piece = PAGE_BYTES - (from + done) % PAGE_BYTES;
		const char *end;

		if (piece > bytes - done)
			piece = bytes - done;
		if (sandbox_space_read(to + done, from + done, piece)) {
			to[done] = '\0';
			return -EFAULT;
		}
		end = memchr(to + done, '\0', piece);
		if (end)
			return end - to;
		done += piece;
	}
	to[bytes - 1] = '\0';
	return -ENAMETOOLONG;
}

int sandbox_space_read_iovec(struct iovec to[SANDBOX_MAX_IOVEC], uint64_t from, uint64_t count)
{
	if (count > SANDBOX_MAX_IOVEC)
		return -EINVAL;
	if (sandbox_space_read(to, from, count * sizeof(*to)))
		return -EFAULT;
	for (uint64_t i = 0; i < count; i++) {
		if (to[i].iov_len > SSIZE_MAX)
			return -EINVAL;
		if (sandbox_space_check((uint64_t)to[i].iov_base, to[i].iov_len))
			return -EFAULT;
		if (to[i].iov_len == 0)
			to[i].iov_base = NULL;
	}
	return 0;
}
