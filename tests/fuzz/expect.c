// SPDX-License-Identifier: GPL-2.0-only
/* What the call was that is under way, and whether what came back is right; see fuzzer.h. */
#define _GNU_SOURCE
#include "fuzzer.h"

#include <stdarg.h>
#include <stdio.h>

void now_calling(struct fuzzer *fuzzer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(fuzzer->call, sizeof(fuzzer->call), format, arguments);
	va_end(arguments);
}

void fuzzer_fail(struct fuzzer *fuzzer, const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	FAIL("seed %llu, %u threads, thread %u, step %llu: %s: %s",
	     (unsigned long long)fuzzer->world->seed, fuzzer->world->nr_threads, fuzzer->thread,
	     (unsigned long long)fuzzer->step, fuzzer->call, text);
}

/* dune(4), "ERRORS", what the calls can say that lead there, and EIO: KVM's ESTALE. */
static const int documented[] = { EIO,	  EINVAL, EFAULT, ENOTTY, ESTALE,     EBUSY,
				  EEXIST, ENOENT, EBADF,  ENOMEM, EOPNOTSUPP, EINTR,
				  ENODEV, ESPIPE, EMFILE, EPERM,  EACCES,     0 };

void expect(struct fuzzer *fuzzer, long result, bool can_succeed, const int *errors)
{
	int error = result < 0 ? errno : 0;

	if (!fuzzer->world->exact) {
		errors = documented;
		can_succeed = true;
	}
	if (!error) {
		if (!can_succeed)
			fuzzer_fail(fuzzer, "succeeded with %ld", result);
		return;
	}
	for (; *errors; errors++)
		if (*errors == error)
			return;
	fuzzer_fail(fuzzer, "errno %d (%s)", error, strerror(error));
}
