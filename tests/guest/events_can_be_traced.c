// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints dune:* tell what happens in the kernel's own words, by tracefs,
 * in those of trace-cmd, which reads the raw records with the format that they come
 * with, and by perf events. Nothing is recorded while they are off.
 */
#define _GNU_SOURCE
#include "file.h"
#include "raw.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define TRACING	 "/sys/kernel/tracing"
#define INSTANCE TRACING "/instances/dune-test"

static char trace[262144];

static void write_file(const char *path, const char *text)
{
	int fd = CHECK_OK(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));

	CHECK_EQ(CHECK_OK(write(fd, text, strlen(text))), strlen(text));
	CHECK_OK(close(fd));
}

static void read_into_trace(int fd)
{
	size_t length = 0;
	ssize_t bytes;

	while ((bytes = CHECK_OK(read(fd, trace + length, sizeof(trace) - 1 - length))) > 0)
		length += bytes;
	CHECK(length < sizeof(trace) - 1);
	trace[length] = 0;
}

static void read_trace(void)
{
	int fd = CHECK_OK(open(INSTANCE "/trace", O_RDONLY | O_CLOEXEC));

	read_into_trace(fd);
	CHECK_OK(close(fd));
}

/* Lines with this event that have this text. */
static unsigned count(const char *event, const char *text)
{
	unsigned found = 0;

	for (char *line = trace, *end; *line; line = end) {
		char *name, *fields;

		end = strchrnul(line, '\n');
		name = memmem(line, end - line, event, strlen(event));
		fields = memmem(line, end - line, text, strlen(text));
		found += name && fields;
		end += *end == '\n';
	}
	return found;
}

static void expect(const char *event, const char *text, unsigned times)
{
	unsigned found = count(event, text);

	if (found != times)
		FAIL("%u of %s with \"%s\", not %u, in:\n%.20000s", found, event, text, times,
		     trace);
}

static void trace_on(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(!access(TRACING "/events", F_OK), "no tracefs");
	if (rmdir(INSTANCE))
		CHECK_EQ(errno, ENOENT);
	CHECK_OK(mkdir(INSTANCE, 0700));
	write_file(INSTANCE "/events/dune/enable", "1");
}

static void trace_off(void)
{
	write_file(INSTANCE "/events/dune/enable", "0");
	read_trace();
	CHECK_OK(rmdir(INSTANCE));
}

static void warm_up(struct raw *raw, const char *code)
{
	raw_create(raw);
	raw->memory[RAW_DATA] = 'x';
	raw_load(raw, code, RAW_DATA, 'y');
	for (int i = 0; i < 3; i++)
		CHECK_EQ(raw_run(raw), DUNE_EXIT_HYPERCALL);
}

static void one_hypercall(void)
{
	struct raw raw;

	warm_up(&raw, raw_count);
	trace_on();
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	trace_off();
	expect("dune_exit:", " vcpu 0 reason VMCALL rip 0x8003 qualification 0x0", 1);
	/* An interrupt may have come between. */
	CHECK_EQ(count("dune_enter:", ""), count("dune_exit:", ""));
	CHECK_EQ(count("dune_exit:", ""), 1 + count("dune_exit:", "reason EXTERNAL_INTERRUPT"));
	CHECK(count("dune_enter:", " cpu 0 inject 0x0") +
	      count("dune_enter:", " cpu 1 inject 0x0"));
	expect("dune_ept_fault:", "", 0);
}

static void one_zap_and_one_fault(void)
{
	struct raw raw;
	char zap[128], fault[128];

	warm_up(&raw, raw_write);
	snprintf(zap, sizeof(zap), "hva %p-%p flushed", raw.memory + RAW_DATA,
		 raw.memory + RAW_DATA + 4096);
	snprintf(fault, sizeof(fault), "gpa 0x20000 hva %p access write result 0",
		 raw.memory + RAW_DATA);
	trace_on();
	CHECK_OK(madvise(raw.memory + RAW_DATA, 4096, MADV_DONTNEED));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(raw.memory[RAW_DATA], 'y');
	trace_off();
	expect("dune_zap:", zap, 1);
	expect("dune_ept_fault:", fault, 1);
	expect("dune_ept_fault:", "", 1);
	expect("dune_exit:", "reason EPT_VIOLATION rip 0x8000 ", 1);
	expect("dune_exit:", "reason VMCALL rip 0x8003 ", 1);
}

static void an_access_that_cannot_be(void)
{
	struct raw raw;

	warm_up(&raw, raw_read);
	raw_load(&raw, raw_read, RAW_BYTES, 0);
	trace_on();
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_MEMORY);
	trace_off();
	expect("dune_ept_fault:", "gpa 0x40000 ", 1);
	expect("dune_ept_fault:", " access read result -14", 1);
}

static void filters_know_the_fields(void)
{
	struct raw raw;

	warm_up(&raw, raw_write);
	trace_on();
	write_file(INSTANCE "/events/dune/dune_exit/filter", "reason == 48 && vcpu == 0");
	CHECK_OK(madvise(raw.memory + RAW_DATA, 4096, MADV_DONTNEED));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	trace_off();
	expect("dune_exit:", "", 1);
	expect("dune_exit:", "reason EPT_VIOLATION", 1);
}

static void nothing_while_it_is_off(void)
{
	struct raw raw;

	warm_up(&raw, raw_write);
	trace_on();
	write_file(INSTANCE "/events/dune/enable", "0");
	CHECK_OK(madvise(raw.memory + RAW_DATA, 4096, MADV_DONTNEED));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	trace_off();
	expect("dune_", "", 0);
}

/* ---- perf ---------------------------------------------------------------- */

/* For this thread. */
static int perf_open_attr(const char *event, struct perf_event_attr attr)
{
	char id[128];

	snprintf(id, sizeof(id), TRACING "/events/dune/%s/id", event);
	attr.type = PERF_TYPE_TRACEPOINT;
	attr.size = sizeof(attr);
	attr.config = file_number(id, NULL);
	return CHECK_OK(syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

/* What `perf record -g -e dune:EVENT` does; the records are not read. */
static int perf_record_chains(const char *event)
{
	int fd = perf_open_attr(event, (struct perf_event_attr){
					       .sample_period = 1,
					       .sample_type = PERF_SAMPLE_CALLCHAIN,
				       });

	CHECK(mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
	return fd;
}

/* What `perf stat -e dune:EVENT --filter FILTER` does. */
static int perf_open(const char *event, const char *filter)
{
	int fd = perf_open_attr(event, (struct perf_event_attr){ 0 });

	if (filter)
		CHECK_OK(ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter));
	return fd;
}

static uint64_t perf_read(int fd)
{
	uint64_t value;

	CHECK_EQ(CHECK_OK(read(fd, &value, sizeof(value))), sizeof(value));
	CHECK_OK(close(fd));
	return value;
}

static void perf_counts_them(void)
{
	struct raw raw;
	int hypercalls, faults, entries;

	TEST_REQUIRE(geteuid() == 0, "not root");
	warm_up(&raw, raw_write);
	hypercalls = perf_open("dune_exit", "reason == 18");
	faults = perf_open("dune_ept_fault", NULL);
	entries = perf_open("dune_enter", NULL);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_OK(madvise(raw.memory + RAW_DATA, 4096, MADV_DONTNEED));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	CHECK_EQ(perf_read(hypercalls), 101);
	CHECK_EQ(perf_read(faults), 1);
	CHECK(perf_read(entries) >= 102); /* and one for each interrupt */
}

/* As a program would whose frame pointer is none: who follows it faults. */
static long run_without_frames(int vcpu)
{
	long result;

	do {
		asm volatile("mov %%rbp, %%r12\n\t"
			     "mov $0x1000, %%ebp\n\t"
			     "syscall\n\t"
			     "mov %%r12, %%rbp"
			     : "=a"(result)
			     : "a"(SYS_ioctl), "D"(vcpu), "S"(DUNE_RUN), "d"(0)
			     : "rcx", "r11", "r12", "memory", "cc");
	} while (result == DUNE_EXIT_INTR);
	return result;
}

/* Who listens may fault, here at a call chain, and the guest's CR2 stays what it is. */
static void listeners_faults_are_not_the_guests(void)
{
	/* mov cr2, rdi; cpuid; mov rbx, cr2; vmcall */
	static const char code[] = "\x0f\x22\xd7\x31\xc0\x0f\xa2\x0f\x20\xd3\x0f\x01\xc1";
	const uint64_t cr2 = 0x123456789;
	struct dune_state state;
	struct raw raw;
	int fds[2];

	TEST_REQUIRE(geteuid() == 0, "not root");
	warm_up(&raw, raw_count);
	memcpy(raw.memory + RAW_CODE, code, sizeof(code));
	state = raw_state(&raw);
	state.gpr[DUNE_RDI] = cr2;
	raw_set_state(raw.vcpu, &state);
	fds[0] = perf_record_chains("dune_enter");
	fds[1] = perf_record_chains("dune_exit");
	CHECK_EQ(run_without_frames(raw.vcpu), DUNE_EXIT_HYPERCALL);
	CHECK(perf_read(fds[0]) && perf_read(fds[1]));
	CHECK_EQ(raw.run->gpr[DUNE_RBX], cr2);
	CHECK_OK(ioctl(raw.vcpu, DUNE_GET_STATE, &state));
	CHECK_EQ(state.cr2, cr2);
}

/* ---- trace-cmd ----------------------------------------------------------- */

#define RECORD "/tmp/dune-trace.dat"

/* Runs a command to its end, with its output in trace[]. */
static void command(const char *line)
{
	FILE *output = popen(line, "re");

	CHECK(output);
	read_into_trace(fileno(output));
	if (pclose(output))
		FAIL("%s: %s", line, trace);
}

static void trace_cmd_reads_the_records(void)
{
	struct raw raw;
	char fault[128];

	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(!system("command -v trace-cmd >/dev/null"), "no trace-cmd");
	warm_up(&raw, raw_write);
	snprintf(fault, sizeof(fault), "hva %p access write result 0", raw.memory + RAW_DATA);
	command("trace-cmd start -e dune 2>&1");
	CHECK_OK(madvise(raw.memory + RAW_DATA, 4096, MADV_DONTNEED));
	CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	command("trace-cmd stop 2>&1");
	command("trace-cmd extract -o " RECORD " 2>&1");
	command("trace-cmd reset 2>&1");
	command("trace-cmd report -i " RECORD " 2>&1");
	CHECK_OK(unlink(RECORD));
	expect("dune_exit:", "vcpu 0 reason VMCALL rip 0x8003 qualification 0", 1);
	expect("dune_exit:", "reason EPT_VIOLATION rip 0x8000", 1);
	expect("dune_ept_fault:", fault, 1);
	CHECK(count("dune_zap:", "flushed") >= 1);
	CHECK(count("dune_enter:", "inject") >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(one_hypercall),
		guest_test(one_zap_and_one_fault),
		guest_test(an_access_that_cannot_be),
		guest_test(filters_know_the_fields),
		guest_test(nothing_while_it_is_off),
		guest_test(perf_counts_them),
		guest_test(listeners_faults_are_not_the_guests),
		guest_test_limit(trace_cmd_reads_the_records, 60),
	};

	return run_guest_tests(tests);
}
