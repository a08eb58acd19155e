// SPDX-License-Identifier: GPL-2.0-only
/*
 * dune-sandbox: runs an unmodified program in ring 3 of this process. Every system call that it
 * makes arrives in ring 0, in syscall.c. Read loader.c for what happens before, syscall.c for the
 * time in between; this file is the frame around both.
 */
#include "descriptor.h"
#include "handover.h"
#include "libraries.h"
#include "loader.h"
#include "report.h"
#include "sandbox.h"
#include "syscall.h"
#include "trace.h"

#include <argp.h>
#include <dune.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

const char *argp_program_version = "dune-sandbox 0.1";

static struct sandbox sandbox = { .trace_fd = -1, .report_fd = -1 };

struct options {
	bool trace;
	const char *trace_file; /* NULL: stderr */
	char **program;		/* its argv */
};

static const struct argp_option option_list[] = {
	{ "trace", 't', "FILE", OPTION_ARG_OPTIONAL,
	  "Show each system call, as strace does, on stderr or in FILE", 0 },
	{ "count", 'c', NULL, 0, "Count system calls and exits, and show the sums at the end", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 't':
		options->trace = true;
		options->trace_file = argument;
		return 0;
	case 'c':
		sandbox.count = true;
		return 0;
	case ARGP_KEY_ARGS:
		options->program = state->argv + state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which program?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp parser = {
	.options = option_list,
	.parser = parse_option,
	.args_doc = "PROGRAM [ARGUMENT...]",
	.doc = "Runs PROGRAM in a Dune sandbox: in ring 3 of a virtual machine that is this process. "
	       "System calls that are not known to be harmless are denied.\v"
	       "The exit status is that of PROGRAM; 125 if the sandbox could not be made, 126 if "
	       "PROGRAM cannot be run, 127 if it was not found.",
};

static int fail(int status, const char *what, const char *why)
{
	fprintf(stderr, "dune-sandbox: %s: %s\n", what, why);
	return status;
}

/* ---- Before ------------------------------------------------------------ */

static int open_trace(const char *file)
{
	int fd;

	if (!file)
		return sandbox_fds_copy_high(STDERR_FILENO);
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return fd < 0 ? -errno : sandbox_fds_move_high(fd);
}

static const char *why_not(int error)
{
	switch (error) {
	case -ENOENT:
		return "there is no /dev/dune; load the module dune first";
	case -EACCES:
		return "/dev/dune may not be opened by this user";
	case -EBUSY:
		return "another hypervisor holds the CPU's VMX";
	case -EOPNOTSUPP:
		return "the CPU lacks a feature; the kernel's log names it";
	case -EPROTO:
		return "the module dune and this libdune have different versions";
	default:
		return strerror(-error);
	}
}

/* ---- Inside ------------------------------------------------------------ */

static void handle_syscall(struct dune_frame *frame)
{
	sandbox_call_handle(&sandbox, frame);
}

/* Vector registers of ring 0 are none of ring 3's business: all as after execve(). */
static void clear_vector_state(void)
{
	static struct {
		uint8_t legacy[512], header[64];
	} __attribute__((aligned(64))) state;
	uint32_t all_but_pkru = ~(1u << 9);

	*(uint32_t *)&state.legacy[24] = 0x1f80; /* MXCSR, which is loaded in any case */
	__asm__ volatile("xrstor64 %0" : : "m"(state), "a"(all_but_pkru), "d"(0u) : "memory");
}

/* fds: what was open at first, and is the program's to use. */
static int run(struct sandbox_program *program, const uint64_t fds[SANDBOX_FD_WORDS],
	       struct dune_ring3_end *end)
{
	const struct dune_frame start = {
		.rip = program->entry,
		.rsp = program->stack,
		.rflags = 0x202, /* IF, and the bit that is always set */
	};
	int result = dune_enter();

	if (result)
		return fail(SANDBOX_EXIT_FAILED, "cannot enter Dune", why_not(result));
	/* Only now are all of them open: the thread's vcpu came with dune_enter(). */
	result = sandbox_fds_hide_new(&sandbox, fds);
	if (!result)
		result = dune_set_syscall_handler(handle_syscall, DUNE_SAVE_FPU);
	if (!result) {
		clear_vector_state();
		result = dune_ring3_run(&start, end);
	}
	dune_leave();
	return result ? fail(SANDBOX_EXIT_FAILED, "cannot run ring 3", strerror(-result)) : 0;
}

/* ---- After ------------------------------------------------------------- */

/* Ends as the program did, so that whoever waits sees what it would have seen. */
static int finish(void)
{
	int signal = sandbox.end.signal;
	sigset_t set;

	if (!signal)
		return sandbox.end.status;
	fflush(NULL);
	sigemptyset(&set);
	sigaddset(&set, signal); /* and not what else is pending */
	(void)(signal != SIGKILL &&
	       sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL));
	raise(signal);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + signal;
}

/* What is run: the command line's program with our environment, or what another sandbox handed over. */
struct start {
	const char *name;
	int fd; /* -1: to be looked up by its name */
	char *const *argv, *const *envp;
};

/* From a sandbox whose program called execve(). argv is main()'s. */
static int take_over(char *const *argv, struct start *start)
{
	struct sandbox_handover handover;
	char **envp = sandbox_handover_envp(environ);
	int result = sandbox_handover_read(argv, &handover);

	if (result)
		return result;
	if (!envp)
		return -ENOMEM;
	*start = (struct start){ argv[2], handover.program_fd, argv + 3, envp };
	sandbox.trace_fd = handover.trace_fd;
	sandbox.report_fd = handover.report_fd;
	sandbox.count = handover.count;
	sandbox.is_child = handover.is_child;
	fcntl(sandbox.trace_fd, F_SETFD, FD_CLOEXEC);
	fcntl(sandbox.report_fd, F_SETFD, FD_CLOEXEC);
	fcntl(handover.program_fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

/*
 * Descriptors beyond the bitmaps of descriptor.c could not be told from the runtime's, so there are none,
 * and prlimit64() never raises the limit.
 */
static int limit_fds(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	if (limit.rlim_cur > SANDBOX_MAX_FDS)
		limit.rlim_cur = SANDBOX_MAX_FDS;
	return setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0;
}

/*
 * A core would be the runtime's, and ring 3 can make children dump theirs. A file is not written at
 * all, and a program that takes cores by a pipe gets headers only. Children and new programs inherit
 * both; prlimit64() does not raise the limit again.
 */
static int hide_from_cores(void)
{
	const struct rlimit none = { 0, 0 };
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC), result = 0;

	if (fd >= 0) {
		result = write(fd, "0", 1) < 0 ? -errno : 0;
		close(fd);
	} else if (errno != ENOENT) { /* of a kernel without cores */
		result = -errno;
	}
	if (!result)
		result = setrlimit(RLIMIT_CORE, &none) ? -errno : 0;
	return result;
}

/* What is ignored stays so in a new program. */
static void inherit_signals(void)
{
	struct sigaction action;

	for (int signal = 1; signal <= SANDBOX_NR_SIGNALS; signal++)
		if (!sigaction(signal, NULL, &action) && action.sa_handler == SIG_IGN)
			sandbox.signals.action[signal].handler = (uint64_t)SIG_IGN;
}

/* What is open now is the program's, but for what an earlier sandbox had opened. */
static int list_program_fds(int program_fd, uint64_t fds[SANDBOX_FD_WORDS])
{
	const int kept[] = { sandbox.trace_fd, sandbox.report_fd, program_fd };
	int result = sandbox_fds_list(fds);

	for (size_t i = 0; !result && i < sizeof(kept) / sizeof(kept[0]); i++)
		if (kept[i] >= 0 && kept[i] < SANDBOX_MAX_FDS)
			fds[kept[i] / 64] &= ~(1ull << kept[i] % 64);
	return result;
}

/* Everything before Dune is entered. 0, or the exit status after a message. argv is main()'s. */
static int prepare(char **argv, const struct options *options, uint64_t fds[SANDBOX_FD_WORDS])
{
	struct start start;
	int result = 0, fd;

	if (options->program)
		start = (struct start){ options->program[0], -1, options->program, environ };
	else
		result = take_over(argv, &start);
	sandbox.libraries = sandbox_libraries_path();
	if (!result)
		result = limit_fds();
	if (!result)
		result = hide_from_cores();
	if (!result)
		result = list_program_fds(start.fd, fds);
	if (result)
		return fail(SANDBOX_EXIT_FAILED, "cannot begin", strerror(-result));
	fd = start.fd < 0 ? sandbox_program_open(&sandbox.program, start.name)
			  : sandbox_program_take(&sandbox.program, start.name, start.fd);
	if (fd < 0)
		return fail(fd == -ENOENT || fd == -ENOTDIR ? SANDBOX_EXIT_NOT_FOUND
							    : SANDBOX_EXIT_NOT_EXECUTABLE,
			    start.name, fd == -ENOENT ? "not found" : strerror(-fd));
	fd = sandbox_fds_move_high(fd);
	sandbox_report_open(&sandbox);
	if (options->trace) {
		sandbox.trace_fd = open_trace(options->trace_file);
		if (sandbox.trace_fd < 0)
			return fail(SANDBOX_EXIT_FAILED, options->trace_file ?: "stderr",
				    strerror(-sandbox.trace_fd));
	}
	inherit_signals();
	result = dune_init();
	if (result)
		return fail(SANDBOX_EXIT_FAILED, "cannot use Dune", why_not(result));
	return sandbox_program_load(&sandbox.program, &sandbox.memory, fd, start.argv, start.envp);
}

int main(int argc, char **argv)
{
	uint64_t fds[SANDBOX_FD_WORDS];
	struct dune_ring3_end end = { 0 };
	struct options options = { 0 };
	int result;

	if (!sandbox_handover_is_one(argv))
		argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &options);
	result = prepare(argv, &options, fds);
	if (result)
		return result;
	prctl(PR_SET_NAME, basename(strdupa(sandbox.program.path)), 0, 0, 0);

	result = run(&sandbox.program, fds, &end);
	if (result)
		return result;
	signal(SIGPIPE, SIG_IGN); /* what is said now does not change how it ends */
	if (end.vector != DUNE_VECTOR_SYSCALL)
		sandbox.end.signal = sandbox_report_fault(&sandbox, &end);
	if (sandbox.trace_fd >= 0)
		sandbox_trace_end(sandbox.trace_fd, sandbox.is_child, &sandbox.end);
	if (sandbox.count)
		sandbox_report_counts(&sandbox);
	return finish();
}
