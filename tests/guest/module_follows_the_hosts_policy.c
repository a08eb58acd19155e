// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beside a host that defends itself against Meltdown the module does not load,
 * and says why in one line, unless unsafe=1; beside others it does. Nor where it
 * cannot see what the host does. What else the host does, it does, too, and says.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "module.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#define MELTDOWN "/sys/devices/system/cpu/vulnerabilities/meltdown"

static char status[256];

static bool host_defends_itself(void)
{
	FILE *file = fopen(MELTDOWN, "r");

	CHECK(file && fgets(status, sizeof(status), file));
	fclose(file);
	return !strncmp(status, "Mitigation", 10);
}

static bool cpu_has_meltdown(void)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[4096];
	bool has = false;

	CHECK(file);
	while (!has && fgets(line, sizeof(line), file))
		has = !strncmp(line, "bugs", 4) && strstr(line, "cpu_meltdown");
	fclose(file);
	return has;
}

#define LOG_MARK "a test looks for what follows"

static void mark_log(void)
{
	int fd = CHECK_OK(open("/dev/kmsg", O_WRONLY));

	CHECK_EQ(write(fd, LOG_MARK, strlen(LOG_MARK)), strlen(LOG_MARK));
	close(fd);
}

/* Has the kernel's log a line with both, since it was marked last? */
static bool log_has(const char *first, const char *second)
{
	int fd = CHECK_OK(open("/dev/kmsg", O_RDONLY | O_NONBLOCK));
	bool found = false;
	char line[1024];
	ssize_t bytes;

	while ((bytes = read(fd, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		line[bytes > 0 ? bytes : 0] = 0;
		if (strstr(line, LOG_MARK))
			found = false;
		if (strstr(line, first) && strstr(line, second))
			found = true;
	}
	close(fd);
	return found;
}

/* The module as it was is back, whatever came of it. */
static int try_to_load(const char *parameters)
{
	int result = module_load_dune_with(parameters);

	if (!result)
		CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(module_load_dune(), 0);
	return result;
}

static void against_meltdown(void)
{
	bool defends;

	TEST_REQUIRE(geteuid() == 0, "not root");
	mark_log();
	defends = host_defends_itself();
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(try_to_load("unsafe=0"), defends ? -EOPNOTSUPP : 0);
	if (defends)
		CHECK(log_has("dune: meltdown: not loaded", "unsafe=1"));
}

static void with_unsafe(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	mark_log();
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(try_to_load("unsafe=1"), 0);
	if (host_defends_itself())
		CHECK(log_has("dune: meltdown: UNSAFE", "Mitigation"));
}

/* Loaded from where there is no /sys, as from a rescue shell: nothing is known. */
static void without_a_status_to_read(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(cpu_has_meltdown(), "a CPU without Meltdown");
	mark_log();
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_OK(unshare(CLONE_NEWNS));
	CHECK_OK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CHECK_OK(umount2("/sys", MNT_DETACH));
	CHECK_EQ(module_load_dune_with("unsafe=0"), -EOPNOTSUPP);
	CHECK_EQ(module_load_dune_with("unsafe=1"), 0);
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_OK(mount("sysfs", "/sys", "sysfs", 0, NULL));
	CHECK_EQ(module_load_dune(), 0);
	CHECK(log_has("not loaded", "status cannot be read"));
	CHECK(log_has("meltdown: UNSAFE", "status cannot be read"));
}

/* What a host says, and what the module says that it does then. */
static const struct policy {
	const char *name, *status, *done;
} policies[] = {
	{ "l1tf", "Mitigation: PTE Inversion; VMX: conditional cache flushes, SMT vulnerable",
	  "L1D displaced before entries, unless nothing else has run" },
	{ "l1tf", "Mitigation: PTE Inversion; VMX: cache flushes, SMT disabled",
	  "L1D displaced before each entry" },
	{ "l1tf", "Mitigation: PTE Inversion",
	  "L1D displaced before entries, unless nothing else has run" },
	{ "l1tf", "Mitigation: PTE Inversion; VMX: flush not necessary, SMT disabled", "no flush" },
	{ "l1tf", "Mitigation: PTE Inversion; VMX: vulnerable", "no flush" },
	{ "tsx_async_abort", "Mitigation: Clear CPU buffers; SMT vulnerable",
	  "VERW before each entry" },
	{ "tsx_async_abort", "Mitigation: TSX disabled", "as the host does" },
	{ "mds", "Mitigation: Clear CPU buffers; SMT vulnerable", "VERW before each entry" },
	{ "mds", "Mitigation: something else", "as the host does" },
	{ "mmio_stale_data", "Vulnerable: Clear CPU buffers attempted, no microcode",
	  "VERW before each entry" },
	{ "reg_file_data_sampling", "Mitigation: Clear Register File", "VERW before each entry" },
	{ "reg_file_data_sampling", "Vulnerable: No microcode", "as the host does" },
	{ "spectre_v2", "Mitigation: Enhanced / Automatic IBRS; BHI: SW loop, KVM: SW loop",
	  "branch history cleared after each exit" },
	{ "spectre_v2",
	  "Mitigation: Enhanced / Automatic IBRS; IBPB: always-on; BHI: SW loop, KVM: SW loop",
	  "branch history cleared after each exit, IBPB between KVM's guests and ours" },
	{ "spectre_v2", "Mitigation: Retpolines; IBPB: conditional; STIBP: disabled",
	  "IBPB between KVM's guests and ours" },
	{ "spectre_v2", "Mitigation: Retpolines; IBPB: disabled", "as the host does" },
	{ "spectre_v2", "Mitigation: Retpolines; and no other", "as the host does" },
	{ "vmscape", "Mitigation: IBPB before exit to userspace",
	  "nothing, guest and user mode are one process" },
	{ "vmscape", "Vulnerable; so is this", "nothing, as the host" },
	{ "itlb_multihit", "KVM: Mitigation: Split huge pages", "large pages are not executable" },
	{ "retbleed", "Mitigation: IBRS", "as the host does" },
	{ "spec_store_bypass", "Mitigation: Speculative Store Bypass disabled via prctl",
	  "as the host does" },
};

/* Whether the file has the text: of /proc/cmdline or /proc/cpuinfo. */
static bool file_says(const char *path, const char *text)
{
	static char all[1 << 16];
	FILE *file = fopen(path, "r");

	CHECK(file);
	all[fread(all, 1, sizeof(all) - 1, file)] = 0;
	fclose(file);
	return strstr(all, text);
}

/* The one decision that is not the text's alone. */
static const char *done_here(const struct policy *policy)
{
	static char text[96];

	if (strncmp(policy->done, "L1D displaced", 13))
		return policy->done;
	if (file_says("/proc/cmdline", "mitigations=off"))
		return "no flush";
	if (!file_says("/proc/cpuinfo", " flush_l1d"))
		return policy->done;
	snprintf(text, sizeof(text), "L1D flushed%s", policy->done + 13);
	return text;
}

/* Entries and exits with what was chosen. */
static void enter_once(void)
{
	pid_t child = harness_fork();

	if (!child) {
		enter_dune();
		CHECK_EQ(current_ring(), 0);
		_exit(0);
	}
	JOIN(child);
}

static void each_policy_is_followed(void)
{
	char line[128];

	TEST_REQUIRE(geteuid() == 0, "not root");
	for (const struct policy *p = policies; p < policies + sizeof(policies) / sizeof(*policies);
	     p++) {
		mark_log();
		CHECK_EQ(module_unload("dune"), 0);
		CHECK_EQ(module_load_dune_where(p->name, p->status), 0);
		snprintf(line, sizeof(line), "dune: %s: %s (", p->name, done_here(p));
		if (!log_has(line, p->status))
			FAIL("no \"%s\" for \"%s\"", line, p->status);
		enter_once();
	}
	CHECK_EQ(module_unload("dune"), 0);
	CHECK_EQ(module_load_dune(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test(against_meltdown),
		guest_test(with_unsafe),
		guest_test(without_a_status_to_read),
		guest_test_limit(each_policy_is_followed, 60),
	};

	return run_guest_tests(tests);
}
