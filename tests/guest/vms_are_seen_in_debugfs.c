// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each vm has a file in /sys/kernel/debug/dune, from its first moment to its
 * last, that says the same as the ioctls; only root reads it.
 */
#define _GNU_SOURCE
#include "raw.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define DIRECTORY "/sys/kernel/debug/dune"

struct file {
	char name[64];
	char text[16384];
};

/* How many vms of a process are shown; the last one's file name. */
static int count_files(pid_t pid, char name[64])
{
	DIR *directory = opendir(DIRECTORY);
	struct dirent *entry;
	char start[32];
	int count = 0;

	CHECK(directory);
	snprintf(start, sizeof(start), "%d-", pid);
	while ((entry = readdir(directory)))
		if (!strncmp(entry->d_name, start, strlen(start))) {
			snprintf(name, 64, "%.63s", entry->d_name);
			count++;
		}
	closedir(directory);
	return count;
}

static int open_file(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), DIRECTORY "/%s", name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void read_file(struct file *file)
{
	size_t length = 0;
	ssize_t bytes;
	int fd = CHECK_OK(open_file(file->name));

	while ((bytes = CHECK_OK(read(fd, file->text + length, sizeof(file->text) - 1 - length))))
		length += bytes;
	file->text[length] = 0;
	close(fd);
}

static void read_own(struct file *file)
{
	CHECK_EQ(count_files(getpid(), file->name), 1);
	read_file(file);
}

/* The value of a line of record n, 0 being the vm's. */
static const char *find_line(const struct file *file, int n, const char *name)
{
	const char *record = file->text, *end, *found;
	char start[64];

	for (; n; n--) {
		record = strstr(record, "\n\n");
		CHECK(record);
		record += 2;
	}
	end = strstr(record, "\n\n") ?: record + strlen(record);
	snprintf(start, sizeof(start), "%s ", name);
	for (found = record; found && found < end; found = strchr(found, '\n')) {
		found += *found == '\n';
		if (!strncmp(found, start, strlen(start)))
			return found + strlen(start);
	}
	return NULL;
}

static uint64_t number(const struct file *file, int n, const char *name)
{
	const char *line = find_line(file, n, name);

	if (!line)
		FAIL("record %d has no line %s:\n%s", n, name, file->text);
	return strtoull(line, NULL, 10);
}

static void needs_root(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(!access(DIRECTORY, F_OK), "no debugfs");
}

static void says_what_happened(void)
{
	struct dune_stats stats;
	struct file file;
	struct raw raw;
	struct dune_run *run;

	needs_root();
	raw_create(&raw);
	raw_create_vcpu(&raw, &run);
	raw_load(&raw, raw_count, 0, 0);
	for (int i = 0; i < 123; i++)
		CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
	read_own(&file);
	CHECK_EQ(number(&file, 0, "pid"), getpid());
	CHECK(!strncmp(find_line(&file, 0, "comm"), program_invocation_short_name, 15));
	CHECK_EQ(number(&file, 0, "vcpus"), 2);
	CHECK_EQ(number(&file, 0, "exit_hypercall"), 123);
	CHECK_EQ(number(&file, 0, "exit:VMCALL"), 123);
	CHECK_EQ(number(&file, 1, "vcpu"), 0);
	CHECK_EQ(number(&file, 1, "exit:VMCALL"), 123);
	CHECK_EQ(number(&file, 2, "vcpu"), 1);
	CHECK_EQ(number(&file, 2, "exits"), 0);
	CHECK(!find_line(&file, 2, "exit:VMCALL"));

	CHECK_OK(ioctl(raw.device, DUNE_GET_STATS, &stats));
	CHECK_EQ(number(&file, 0, "exits"), stats.value[DUNE_STAT_EXITS]);
	CHECK_EQ(number(&file, 0, "ept_pages"), stats.value[DUNE_STAT_EPT_PAGES]);
	CHECK_EQ(number(&file, 0, "ept_mapped"), stats.value[DUNE_STAT_EPT_MAPPED]);
	CHECK_EQ(number(&file, 0, "exit_memory"), stats.value[DUNE_STAT_EXIT_MEMORY]);
	CHECK_EQ(number(&file, 0, "msr_writes"), stats.value[DUNE_STAT_MSR_WRITES]);
	CHECK_EQ(number(&file, 0, "vmcs_accesses"), stats.value[DUNE_STAT_VMCS_ACCESSES]);
}

static void says_who_keeps_vmx_on(void)
{
	struct file file;
	struct raw raw;
	const char *vmx;
	bool kvm = !access("/dev/kvm", F_OK);

	needs_root();
	memset(&raw, 0, sizeof(raw));
	raw.device = CHECK_OK(open("/dev/dune", O_RDWR));
	read_own(&file);
	CHECK(!strncmp(find_line(&file, 0, "vmx"), "none\n", 5));
	CHECK_OK(close(raw.device));
	raw_create(&raw);
	read_own(&file);
	vmx = find_line(&file, 0, "vmx");
	CHECK(!strncmp(vmx, kvm ? "kvm\n" : "own\n", 4));
}

static void a_strange_name_breaks_no_line(void)
{
	struct file file;
	struct raw raw;

	needs_root();
	raw_create(&raw);
	CHECK_OK(prctl(PR_SET_NAME, "a\nvm 7 \033[H\xff", 0, 0, 0));
	read_own(&file);
	CHECK_EQ(strtoull(strchr(file.name, '-') + 1, NULL, 10), number(&file, 0, "vm"));
	CHECK(!strncmp(find_line(&file, 0, "comm"), "a\\nvm 7 \\e[H", 11));
	for (size_t i = 0; i < strlen(file.text); i++)
		CHECK(file.text[i] >= ' ' || file.text[i] == '\n'); /* and ASCII */
}

static void goes_with_its_vm(void)
{
	struct file file;
	struct raw raw;
	int fd, again;
	char byte;

	needs_root();
	CHECK_EQ(count_files(getpid(), file.name), 0);
	raw_open(&raw);
	CHECK_EQ(count_files(getpid(), file.name), 1);
	fd = CHECK_OK(open_file(file.name));
	again = CHECK_OK(open_file(file.name));
	CHECK_EQ(CHECK_OK(read(fd, &byte, 1)), 1);
	CHECK_OK(close(raw.device));
	CHECK_EQ(count_files(getpid(), file.name), 0);
	/* Whoever has it open sees that it is gone, and nothing else. */
	CHECK_ERRNO(read(fd, &byte, 1), EIO);
	CHECK_ERRNO(read(again, &byte, 1), EIO);
	CHECK_ERRNO(lseek(fd, 0, SEEK_SET), EIO);
	CHECK_OK(close(again));
	CHECK_OK(close(fd));
}

static void a_process_may_have_several(void)
{
	char name[64], other[64];
	int devices[5];

	needs_root();
	for (int i = 0; i < 5; i++) {
		devices[i] = CHECK_OK(open("/dev/dune", O_RDWR));
		CHECK_EQ(count_files(getpid(), name), i + 1);
	}
	for (int i = 0; i < 5; i++)
		CHECK_OK(close(devices[i]));
	/* No name comes back. */
	CHECK_OK(open("/dev/dune", O_RDWR));
	CHECK_EQ(count_files(getpid(), other), 1);
	CHECK(strcmp(name, other));
}

/* The vm stays with a descriptor that a child has. */
static void outlives_its_process(void)
{
	struct file file;
	int go[2];
	pid_t owner, holder = 0;
	volatile pid_t *shared =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	needs_root();
	CHECK(shared != MAP_FAILED);
	CHECK_OK(pipe(go));
	CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	owner = harness_fork();
	if (!owner) {
		char byte;

		CHECK_OK(open("/dev/dune", O_RDWR));
		*shared = harness_fork();
		if (*shared)
			_exit(0);
		close(go[1]);
		(void)!read(go[0], &byte, 1);
		_exit(0);
	}
	JOIN(owner);
	holder = *shared;
	CHECK_EQ(count_files(owner, file.name), 1);
	read_file(&file);
	CHECK_EQ(number(&file, 0, "pid"), owner);
	CHECK_EQ(*find_line(&file, 0, "comm"), '\n');
	close(go[1]);
	JOIN(holder);
	CHECK_EQ(count_files(owner, file.name), 0);
}

static void is_for_root_alone(void)
{
	struct file file;
	struct stat status;
	struct raw raw;
	char path[512];

	needs_root();
	raw_open(&raw);
	CHECK_EQ(count_files(getpid(), file.name), 1);
	snprintf(path, sizeof(path), DIRECTORY "/%s", file.name);
	CHECK_OK(stat(path, &status));
	CHECK_EQ(status.st_mode, S_IFREG | 0400);
	CHECK_OK(setresuid(1000, 1000, 1000));
	CHECK_ERRNO(open(path, O_RDONLY), EACCES);
}

/* Readers race with vms that come and go, and with threads that run. */
static void read_all(void)
{
	char buffer[4096];
	DIR *directory = opendir(DIRECTORY);
	struct dirent *entry;

	CHECK(directory);
	while ((entry = readdir(directory))) {
		int fd = entry->d_name[0] == '.' ? -1 : open_file(entry->d_name);

		while (fd >= 0 && read(fd, buffer, sizeof(buffer)) > 0)
			;
		if (fd >= 0)
			close(fd);
	}
	closedir(directory);
}

static void reading_disturbs_nobody(void)
{
	pid_t reader;
	struct raw raw;

	needs_root();
	reader = harness_fork();
	if (!reader)
		for (;;)
			read_all();
	for (int i = 0; i < 60; i++) {
		raw_create(&raw);
		raw_load(&raw, raw_count, 0, 0);
		for (uint64_t n = 1; n <= 20; n++) {
			CHECK_EQ(raw_run(&raw), DUNE_EXIT_HYPERCALL);
			CHECK_EQ(raw_stat(&raw, DUNE_STAT_EXIT_HYPERCALL), n);
		}
		munmap(raw.run, DUNE_RUN_SIZE);
		close(raw.vcpu);
		close(raw.device);
		CHECK_OK(munmap(raw.memory, RAW_BYTES));
	}
	CHECK_OK(kill(reader, SIGKILL));
	CHECK_EQ(harness_wait(reader), 128 + SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(says_what_happened),
		guest_test(says_who_keeps_vmx_on),
		guest_test(a_strange_name_breaks_no_line),
		guest_test(goes_with_its_vm),
		guest_test(a_process_may_have_several),
		guest_test(outlives_its_process),
		guest_test(is_for_root_alone),
		guest_test_limit(reading_disturbs_nobody, 60),
	};

	return run_guest_tests(tests);
}
