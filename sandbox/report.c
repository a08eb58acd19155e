// SPDX-License-Identifier: GPL-2.0-only
/* What the sandbox itself has to say, at the end; see report.h. */
#include "report.h"
#include "descriptor.h"
#include "sandbox.h"

#include <dune.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static FILE *report;

void sandbox_report_open(struct sandbox *box)
{
	if (box->report_fd < 0 && (box->count || !box->is_child)) {
		int fd = sandbox_fds_copy_high(STDERR_FILENO);

		box->report_fd = fd < 0 ? -1 : fd;
	}
	report = box->report_fd < 0 ? NULL : fdopen(box->report_fd, "w");
	if (report)
		setvbuf(report, NULL, _IOLBF, 0);
	else
		report = stderr;
}

void sandbox_report_leave(struct sandbox *box)
{
	if (box->count || report == stderr)
		return;
	fclose(report);
	report = stderr;
	box->report_fd = -1;
}

static int signal_of_vector(unsigned vector)
{
	switch (vector) {
	case 0:	 /* #DE */
	case 16: /* #MF */
	case 19: /* #XM */
		return SIGFPE;
	case 1: /* #DB */
	case 3: /* #BP */
		return SIGTRAP;
	case 6: /* #UD */
		return SIGILL;
	case 12: /* #SS */
	case 17: /* #AC */
		return SIGBUS;
	default:
		return SIGSEGV;
	}
}

int sandbox_report_fault(const struct sandbox *box, const struct dune_ring3_end *end)
{
	int signal = signal_of_vector(end->vector);

	fprintf(report,
		"dune-sandbox: %s: exception %u (error %#x) at rip %#" PRIx64 ", address %#" PRIx64
		": %s\n",
		box->program.path, end->vector, end->error, end->rip, end->address,
		strsignal(signal));
	return signal;
}

void sandbox_report_counts(const struct sandbox *box)
{
	struct dune_counts counts;
	uint64_t calls = 0, errors = 0;

	fprintf(report, "%10s %10s  %s\n", "calls", "errors", "system call");
	for (unsigned nr = 0; nr < SANDBOX_NR_COUNTED; nr++) {
		const struct sandbox_row *row = sandbox_table_row(nr);

		if (!box->calls[nr])
			continue;
		calls += box->calls[nr];
		errors += box->errors[nr];
		fprintf(report, "%10" PRIu64 " %10" PRIu64 "  ", box->calls[nr], box->errors[nr]);
		if (row)
			fprintf(report, "%s\n", row->name);
		else
			fprintf(report, "%u (not known)\n", nr);
	}
	fprintf(report, "%10" PRIu64 " %10" PRIu64 "  total\n", calls, errors);
	if (dune_get_counts(&counts))
		return;
	fprintf(report,
		"%" PRIu64 " exits, of which %" PRIu64 " hypercalls, %" PRIu64
		" EPT faults, %" PRIu64 " interrupts, %" PRIu64 " CPUID\n",
		counts.exits, counts.hypercalls, counts.ept_faults, counts.interrupts,
		counts.cpuid);
}
