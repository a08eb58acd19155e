// SPDX-License-Identifier: GPL-2.0-only
/*
 * A debugger, a profiler and /proc see a process that computes inside as one
 * that waits in lseek(): its registers are the host loop's, its memory is its
 * own, and nothing of the kernel or of the guest's entry shows. It goes on as if
 * nothing had been. Core dumps and changed credentials are Linux's.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "worker.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

/* ---- ptrace --------------------------------------------------------------------- */

static void seize(pid_t pid)
{
	int status;

	CHECK_OK(ptrace(PTRACE_SEIZE, pid, 0, 0));
	CHECK_OK(ptrace(PTRACE_INTERRUPT, pid, 0, 0));
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status));
}

static void registers_are_a_process(pid_t pid)
{
	struct user_regs_struct regs;
	struct iovec io = { &regs, sizeof(regs) };

	CHECK_OK(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &io));
	CHECK_EQ(io.iov_len, sizeof(regs));
	CHECK(regs.rip < 1ull << 47);
	CHECK(regs.rsp < 1ull << 47);
	CHECK_EQ(regs.cs & 3, 3);
	CHECK_EQ(regs.ss & 3, 3);
	CHECK_EQ(regs.eflags & (3 << 12 | 1 << 17 | 1 << 14), 0); /* IOPL VM NT */
	/* In lseek(), or about to call it again. */
	CHECK(regs.orig_rax == SYS_lseek || (long)regs.orig_rax == -1 || regs.rax == SYS_lseek ||
	      (long)regs.orig_rax == SYS_ioctl);
	errno = 0;
	CHECK_EQ(ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), 0), regs.rip);
	CHECK_EQ(errno, 0);
	CHECK_EQ(ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.fs_base), 0),
		 regs.fs_base);
}

static void attached_and_detached(void)
{
	struct worker worker = worker_start();

	for (int i = 0; i < 20; i++) {
		seize(worker.pid);
		registers_are_a_process(worker.pid);
		worker_must_stand_still(&worker);
		CHECK_OK(ptrace(PTRACE_DETACH, worker.pid, 0, 0));
		worker_must_go_on(&worker);
	}
	worker_finish(&worker);
}

static void memory_is_the_same_on_both_sides(void)
{
	struct worker worker = worker_start();
	const void *word = (const void *)&worker.page->word;

	for (unsigned long i = 1; i < 10; i++) {
		seize(worker.pid);
		CHECK_OK(ptrace(PTRACE_POKEDATA, worker.pid, word, i * 0x1111));
		errno = 0;
		CHECK_EQ(ptrace(PTRACE_PEEKDATA, worker.pid, word, 0), i * 0x1111);
		CHECK_EQ(errno, 0);
		CHECK_OK(ptrace(PTRACE_DETACH, worker.pid, 0, 0));
		for (int turn = 0; turn < 1000 && worker.page->seen != i * 0x1111; turn++)
			usleep(1000);
		CHECK_EQ(worker.page->seen, i * 0x1111);
	}
	worker_finish(&worker);
}

/* The firmware's word on whose machine it is; a kernel without DMI has its ACPI tables. */
static bool machine_is_bochs(void)
{
	static const char *const files[] = { "/sys/class/dmi/id/bios_version",
					     "/sys/firmware/acpi/tables/FACP" };
	char text[64];

	for (int i = 0; i < 2; i++) {
		int fd = open(files[i], O_RDONLY);
		ssize_t bytes;

		if (fd < 0)
			continue;
		bytes = CHECK_OK(read(fd, text, sizeof(text)));
		close(fd);
		return memmem(text, bytes, "Bochs", 5) || memmem(text, bytes, "BOCHS", 5);
	}
	return false;
}

/*
 * After a SYSCALL under TF Bochs traps, in the kernel, though the flag is clear by
 * then; Linux warns of that. There the steps are from call to call.
 */
static int step_request(void)
{
	return machine_is_bochs() ? PTRACE_SYSCALL : PTRACE_SINGLESTEP;
}

static void stepped_and_registers_written_back(void)
{
	int request = step_request();
	struct worker worker = worker_start();
	struct user_regs_struct regs;
	struct user_fpregs_struct fpregs;
	int status;

	seize(worker.pid);
	for (int i = 0; i < 30; i++) {
		/* Steps of the host loop; the guest runs in the middle of one. */
		CHECK_OK(ptrace(request, worker.pid, 0, 0));
		usleep(2000);
		if (waitpid(worker.pid, &status, WNOHANG) == 0) {
			CHECK_OK(ptrace(PTRACE_INTERRUPT, worker.pid, 0, 0));
			CHECK_EQ(waitpid(worker.pid, &status, 0), worker.pid);
		}
		CHECK(WIFSTOPPED(status));
		registers_are_a_process(worker.pid);
		CHECK_OK(ptrace(PTRACE_GETREGS, worker.pid, 0, &regs));
		CHECK_OK(ptrace(PTRACE_SETREGS, worker.pid, 0, &regs));
		CHECK_OK(ptrace(PTRACE_GETFPREGS, worker.pid, 0, &fpregs));
		CHECK_OK(ptrace(PTRACE_SETFPREGS, worker.pid, 0, &fpregs));
	}
	CHECK_OK(ptrace(PTRACE_DETACH, worker.pid, 0, 0));
	worker_must_go_on(&worker);
	worker_finish(&worker);
}

/* ---- /proc ------------------------------------------------------------------------ */

/* Whatever is readable is read; no number in it is an address of the kernel. */
/* The kernel's addresses: 16 digits, the first bit of which is set; but for the page that each process has. */
static void look_for_addresses(const char *path, const char *text)
{
	const char *digits = "0123456789abcdef";
	size_t length;

	for (const char *at = text; *at; at += length ? length : 1) {
		length = strspn(at, digits);
		if (length == 16 && strchr("89abcdef", *at) && strncmp(at, "ffffffffff60", 12) &&
		    strncmp(at, "ffffffffffffffff", 16))
			FAIL("%s shows %.16s", path, at);
	}
}

static void read_whole(const char *path)
{
	static char text[1 << 16];
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	ssize_t bytes;

	if (fd < 0)
		return;
	while ((bytes = read(fd, text, sizeof(text) - 1)) > 0) {
		text[bytes] = 0;
		look_for_addresses(path, text);
		if (strstr(path, "pagemap") || strstr(path, "auxv"))
			break;
	}
	close(fd);
}

static void proc_files_can_be_read(void)
{
	static const char *const files[] = { "maps",	    "smaps",	"numa_maps", "status",
					     "stat",	    "statm",	"wchan",     "syscall",
					     "stack",	    "auxv",	"limits",    "io",
					     "sched",	    "environ",	"cmdline",   "schedstat",
					     "personality", "oom_score" };
	struct worker worker = worker_start();
	char path[64], text[256] = "";
	int fd;

	for (int turn = 0; turn < 5; turn++) {
		for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", worker.pid, files[i]);
			read_whole(path);
		}
		worker_must_go_on(&worker);
	}
	/* Stopped: the system call that it is in, with its arguments. */
	CHECK_OK(kill(worker.pid, SIGSTOP));
	CHECK_EQ(waitpid(worker.pid, NULL, WUNTRACED), worker.pid);
	snprintf(path, sizeof(path), "/proc/%d/syscall", worker.pid);
	fd = CHECK_OK(open(path, O_RDONLY));
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	harness_note("/proc/PID/syscall: %.*s", (int)strcspn(text, "\n"), text);
	CHECK(!strncmp(text, "8 ", 2) || !strncmp(text, "-1 ", 3));
	CHECK_OK(kill(worker.pid, SIGCONT));
	worker_finish(&worker);
}

/* ---- perf ------------------------------------------------------------------------- */

enum { RING_PAGES = 8 };

static int start_sampling(pid_t pid, uint32_t type, uint64_t config, void **ring)
{
	struct perf_event_attr attr = {
		.type = type,
		.size = sizeof(attr),
		.config = config,
		.sample_period = type == PERF_TYPE_SOFTWARE ? 1000000 : 100000,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_CALLCHAIN |
			       PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
		.sample_regs_user = 0xff,
		.sample_stack_user = 64,
		.wakeup_events = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, pid, -1, -1, 0);

	if (fd >= 0) {
		*ring = mmap(NULL, (1 + RING_PAGES) * PAGE_BYTES, PROT_READ | PROT_WRITE,
			     MAP_SHARED, fd, 0);
		CHECK(*ring != MAP_FAILED);
	}
	return fd;
}

static unsigned count_samples(struct perf_event_mmap_page *ring)
{
	const char *data = (const char *)ring + PAGE_BYTES;
	uint64_t head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->data_tail;
	unsigned count = 0;

	while (tail < head) {
		const struct perf_event_header *record =
			(const void *)(data + tail % (RING_PAGES * PAGE_BYTES));

		CHECK(record->size >= sizeof(*record));
		count += record->type == PERF_RECORD_SAMPLE;
		tail += record->size;
	}
	ring->data_tail = tail;
	return count;
}

static void sample(uint32_t type, uint64_t config, const char *name)
{
	struct worker worker = worker_start();
	unsigned samples = 0;
	void *ring;
	int fd = start_sampling(worker.pid, type, config, &ring);

	if (fd < 0) {
		worker_finish(&worker);
		TEST_REQUIRE(0, "no such event here");
	}
	for (int i = 0; i < 20; i++) {
		usleep(10000);
		worker_must_go_on(&worker);
		samples += count_samples(ring);
	}
	CHECK_OK(ioctl(fd, PERF_EVENT_IOC_DISABLE, 0));
	worker_finish(&worker);
	harness_note("%u samples by %s", samples, name);
	CHECK(samples > 5);
}

static void sampled_by_a_clock(void)
{
	sample(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, "the CPU's clock");
}

/* By NMI: each of them ends a run of the guest. */
static void sampled_by_cycles(void)
{
	sample(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, "cycles");
}

/* ---- Core dumps, credentials -------------------------------------------------------- */

static void core_dumps_are_whole(void)
{
	static volatile uint64_t marked[512] __attribute__((aligned(4096)));
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	char pattern[128] = "", path[64];
	Elf64_Ehdr header;
	pid_t child;
	int fd, status;

	fd = CHECK_OK(open("/proc/sys/kernel/core_pattern", O_RDWR));
	CHECK(read(fd, pattern, sizeof(pattern) - 1) > 0);
	TEST_REQUIRE(pwrite(fd, "/tmp/core.%p", 12, 0) == 12, "core_pattern cannot be set");
	child = harness_fork();
	if (!child) {
		CHECK_OK(setrlimit(RLIMIT_CORE, &limit));
		marked[0] = 0x1badb002deadbeef;
		enter_dune();
		marked[1] = 0x0123456789abcdef;
		abort();
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_OK(pwrite(fd, pattern, strlen(pattern), 0));
	close(fd);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(WCOREDUMP(status));

	snprintf(path, sizeof(path), "/tmp/core.%d", child);
	fd = CHECK_OK(open(path, O_RDONLY));
	unlink(path);
	CHECK_EQ(read(fd, &header, sizeof(header)), sizeof(header));
	CHECK(!memcmp(header.e_ident, ELFMAG, SELFMAG) && header.e_type == ET_CORE);
	for (int i = 0; i < header.e_phnum; i++) {
		uint64_t at = (uintptr_t)marked, words[2];
		Elf64_Phdr segment;

		CHECK_EQ(pread(fd, &segment, sizeof(segment), header.e_phoff + i * sizeof(segment)),
			 sizeof(segment));
		if (segment.p_type != PT_LOAD || at < segment.p_vaddr ||
		    at + 16 > segment.p_vaddr + segment.p_filesz)
			continue;
		CHECK_EQ(pread(fd, words, 16, segment.p_offset + (at - segment.p_vaddr)), 16);
		CHECK_EQ(words[0], 0x1badb002deadbeef);
		CHECK_EQ(words[1], 0x0123456789abcdef);
		return;
	}
	FAIL("the core dump does not have the program's data");
}

/* Root gives it up inside: the kernel knows, and Dune goes on. */
static void credentials_change_inside(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	enter_dune();
	CHECK_OK(prctl(PR_SET_DUMPABLE, 0));
	CHECK_OK(setresgid(1000, 1000, 1000));
	CHECK_OK(setresuid(1000, 1000, 1000));
	CHECK_EQ(geteuid(), 1000);
	CHECK_ERRNO(open("/dev/dune", O_RDWR), EACCES);
	CHECK_ERRNO(open("/etc/shadow", O_RDONLY), EACCES);
	CHECK_ERRNO(setuid(0), EPERM);
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
	CHECK_EQ(current_ring(), 0);
	CHECK(worker_compute(5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(attached_and_detached, 60),
		guest_test_limit(memory_is_the_same_on_both_sides, 60),
		guest_test_limit(stepped_and_registers_written_back, 60),
		guest_test_limit(proc_files_can_be_read, 60),
		guest_test_limit(sampled_by_a_clock, 60),
		guest_test_limit(sampled_by_cycles, 60),
		guest_test_limit(core_dumps_are_whole, 60),
		guest_test(credentials_change_inside),
	};

	return run_guest_tests(tests);
}
