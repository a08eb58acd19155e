// SPDX-License-Identifier: GPL-2.0-only
/* A system call with any arguments and any memory behind them: --trace makes one line of it. */
#include "target.h"
#include "fake_dune.h"
#include "sandbox.h"
#include "syscall.h"
#include "trace.h"

#include <string.h>

enum { LINE_BYTES = 160, GUARD_BYTES = 16, PAGE = 4096 };

/* Its place and length in the input; what is behind it is the page. */
struct head {
	uint16_t nr;
	int16_t result;
	uint8_t in_page; /* bit n: argument n lies in the page */
	uint8_t pad[3];
	uint64_t argument[SANDBOX_NR_ARGS];
};

static void fill_page(char *page, const uint8_t *data, size_t bytes)
{
	memset(page, 0xff, PAGE);
	memcpy(page, data, bytes < PAGE ? bytes : PAGE);
}

static void read_call(struct sandbox_call *call, const struct head *head, uint64_t page)
{
	call->nr = head->nr;
	call->row = sandbox_table_row(head->nr);
	for (int i = 0; i < SANDBOX_NR_ARGS; i++) {
		call->user[i] = head->argument[i];
		if (head->in_page >> i & 1)
			call->user[i] = page + head->argument[i] % PAGE;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char line[LINE_BYTES + GUARD_BYTES];
	struct head head;
	size_t length;

	if (!box)
		fake_set_up(NULL);
	if (bytes < sizeof(head))
		return 0;
	memcpy(&head, data, sizeof(head));
	fill_page((char *)page, data + sizeof(head), bytes - sizeof(head));
	box->call.box = box;
	read_call(&box->call, &head, page);

	memset(line, 0x5a, sizeof(line));
	length = sandbox_trace_format(line, LINE_BYTES, &box->call, head.result);
	MUST(length && length < LINE_BYTES);
	MUST(line[length] == 0 && line[length - 1] == '\n');
	MUST(!memchr(line, '\n', length - 1));
	for (int i = 0; i < GUARD_BYTES; i++)
		MUST(line[LINE_BYTES + i] == 0x5a);
	return 0;
}
