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

/* Whether the file has the text. */
static bool file_says(const char *path, const char *text)
{
	static char all[1 << 16];
	FILE *file = fopen(path, "r");

	CHECK(file);
	all[fread(all, 1, sizeof(all) - 1, file)] = 0;
	fclose(file);
	return strstr(all, text);
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
	defends = file_says(MELTDOWN, "Mitigation");
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
	if (file_says(MELTDOWN, "Mitigation"))
		CHECK(log_has("dune: meltdown: UNSAFE", "Mitigation"));
}

/* Loaded from where there is no /sys, as from a rescue shell: nothing is known. */
static void without_a_status_to_read(void)
{
	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(file_says("/proc/cpuinfo", " cpu_meltdown"), "a CPU without Meltdown");
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
	struct module_status host;
	const char *done;
} policies[] = {
	{ { "l1tf", "Mitigation: PTE Inversion; VMX: conditional cache flushes, SMT vulnerable" },
	  "L1D displaced before entries, unless nothing else has run" },
	{ { "l1tf", "Mitigation: PTE Inversion; VMX: cache flushes, SMT disabled" },
	  "L1D displaced before each entry" },
	{ { "l1tf", "Mitigation: PTE Inversion" },
	  "L1D displaced before entries, unless nothing else has run" },
	{ { "l1tf", "Mitigation: PTE Inversion; VMX: flush not necessary, SMT disabled" },
	  "no flush" },
	{ { "l1tf", "Mitigation: PTE Inversion; VMX: vulnerable" }, "no flush" },
	{ { "tsx_async_abort", "Mitigation: Clear CPU buffers; SMT vulnerable" },
	  "VERW before each entry" },
	{ { "tsx_async_abort", "Mitigation: TSX disabled" }, "as the host does" },
	{ { "mds", "Mitigation: Clear CPU buffers; SMT vulnerable" }, "VERW before each entry" },
	{ { "mds", "Mitigation: something else" }, "as the host does" },
	{ { "mmio_stale_data", "Vulnerable: Clear CPU buffers attempted, no microcode" },
	  "VERW before each entry" },
	{ { "reg_file_data_sampling", "Mitigation: Clear Register File" },
	  "VERW before each entry" },
	{ { "reg_file_data_sampling", "Vulnerable: No microcode" }, "as the host does" },
	{ { "spectre_v2", "Mitigation: Enhanced / Automatic IBRS; BHI: SW loop, KVM: SW loop" },
	  "branch history cleared after each exit" },
	{ { "spectre_v2",
	    "Mitigation: Enhanced / Automatic IBRS; IBPB: always-on; BHI: SW loop, KVM: SW loop" },
	  "branch history cleared after each exit, IBPB between KVM's guests and ours" },
	{ { "spectre_v2", "Mitigation: Retpolines; IBPB: conditional; STIBP: disabled" },
	  "IBPB between KVM's guests and ours" },
	{ { "spectre_v2", "Mitigation: Retpolines; IBPB: disabled" }, "as the host does" },
	{ { "spectre_v2", "Mitigation: Retpolines; and no other" }, "as the host does" },
	{ { "spectre_v2", "Vulnerable: eIBRS with unprivileged eBPF" },
	  "branch history cleared after each exit, IBPB between KVM's guests and ours" },
	{ { "vmscape", "Mitigation: IBPB before exit to userspace" },
	  "IBPB between KVM's guests and ours" },
	{ { "vmscape", "Mitigation: IBPB on VMEXIT" }, "as the host does" },
	{ { "vmscape", "Vulnerable; so is this" }, "nothing, as the host" },
	{ { "itlb_multihit", "KVM: Mitigation: Split huge pages" },
	  "large pages are not executable" },
	{ { "retbleed", "Mitigation: IBRS" }, "as the host does" },
	{ { "spec_store_bypass", "Mitigation: Speculative Store Bypass disabled via prctl" },
	  "as the host does" },
};

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

#define NR_POLICIES (sizeof(policies) / sizeof(*policies))

/* One for each vulnerability that has so many. */
static size_t choose(size_t round, const struct policy *chosen[], struct module_status hosts[])
{
	size_t nr = 0;

	for (size_t i = 0; i < NR_POLICIES; i++) {
		size_t before = 0;

		for (size_t j = 0; j < i; j++)
			before += !strcmp(policies[j].host.vulnerability,
					  policies[i].host.vulnerability);
		if (before != round)
			continue;
		chosen[nr] = &policies[i];
		hosts[nr++] = policies[i].host;
	}
	return nr;
}

static void log_must_name(const struct policy *policy)
{
	char line[128];

	snprintf(line, sizeof(line), "dune: %s: %s (", policy->host.vulnerability,
		 done_here(policy));
	if (!log_has(line, policy->host.text))
		FAIL("no \"%s\" for \"%s\"", line, policy->host.text);
}

static void enter_once(void)
{
	enter_dune();
	CHECK_EQ(current_ring(), 0);
}

static void each_policy_is_followed(void)
{
	const struct policy *chosen[NR_POLICIES];
	struct module_status hosts[NR_POLICIES];
	size_t nr, seen = 0;

	TEST_REQUIRE(geteuid() == 0, "not root");
	for (size_t round = 0; (nr = choose(round, chosen, hosts)); round++) {
		mark_log();
		CHECK_EQ(module_unload("dune"), 0);
		CHECK_EQ(module_load_dune_where(hosts, nr), 0);
		for (size_t i = 0; i < nr; i++)
			log_must_name(chosen[i]);
		CHECK_EQ(harness_run_in_child(enter_once), 0);
		seen += nr;
	}
	CHECK_EQ(seen, NR_POLICIES);
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
