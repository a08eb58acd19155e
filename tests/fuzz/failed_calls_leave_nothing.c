// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each call of the kernel that can fail does fail once, at each place where the
 * module makes it: the caller gets the documented error, nothing is left
 * behind, and the next one finds all as it was. dune_inject.ko makes them fail;
 * call_sites.h says which there are, so that none is left out. With SHOW_FAILURES
 * in the environment each is named.
 */
#define _GNU_SOURCE
#include "attempts.h"
#include "call_sites.h"
#include "harness.h"
#include "leaks.h"
#include "module.h"

#include <stdio.h>

#define FAIL_FILE "/sys/module/dune_inject/parameters/fail"
enum { MAX_CALLS = 200, REPEATS = 3, KEPT_BYTES = 8192, SECONDS = 280 };

/*
 * A function, what it returns when it fails, and what the caller sees then; 0: the
 * module does without. Names of all kernels that are supported.
 */
static const struct failure {
	const char *symbol;
	long value;
	int error;
} failures[] = {
	{ "get_zeroed_page", 0, ENOMEM },
	{ "get_zeroed_page_noprof", 0, ENOMEM },
	{ "__kmalloc", 0, ENOMEM },
	{ "__kmalloc_noprof", 0, ENOMEM },
	{ "kmalloc_trace", 0, ENOMEM },
	{ "kmalloc_trace_noprof", 0, ENOMEM },
	{ "__kmalloc_cache_noprof", 0, ENOMEM },
	{ "__kmalloc_cache_node_noprof", 0, ENOMEM },
	{ "__get_free_pages", 0, EOPNOTSUPP },
	{ "get_free_pages_noprof", 0, EOPNOTSUPP },
	{ "__xa_insert", -ENOMEM, ENOMEM },
	{ "__xa_store", -ENOMEM, ENOMEM },
	{ "ida_alloc_range", -ENOSPC, 0 },
	{ "get_unused_fd_flags", -EMFILE, EMFILE },
	{ "anon_inode_getfile", -ENFILE, ENFILE },
	{ "mmu_notifier_register", -ENOMEM, ENOMEM },
	{ "__mmu_notifier_register", -ENOMEM, ENOMEM },
	{ "vm_insert_page", -ENOMEM, ENOMEM },
	{ "fget", 0, EBADF },
	{ "_copy_from_user", 1, EFAULT },
	{ "_copy_to_user", 1, EFAULT },
	{ "handle_mm_fault", 2 /* VM_FAULT_SIGBUS */, 0 },
	/* Only while the module is loaded. */
	{ "alloc_workqueue", 0, ENOMEM },
	{ "alloc_workqueue_noprof", 0, ENOMEM },
	{ "misc_register", -EBUSY, EBUSY },
	{ "__cpuhp_setup_state", -EBUSY, EBUSY },
	{ "filp_open", -ENOENT, 0 },
	{ "kernel_read", -EIO, 0 },
};
enum { NR_FAILURES = sizeof(failures) / sizeof(failures[0]) };

/* What looks as if it could fail, and need not be tried. */
static const char *const harmless[] = {
	"kmalloc_caches",	    /* no function */
	"perf_trace_buf_alloc",	    /* of the kernel's own code for tracepoints */
	"register_reboot_notifier", /* cannot fail */
	"register_syscore_ops",	    /* returns nothing */
	"register_syscore",	    /* returns nothing */
	"debugfs_create_dir",	    /* a failure is meant to be passed on to the next */
	"debugfs_create_file",
	"debugfs_create_file_full", /* returns nothing that is looked at */
	"seq_open",
	"single_open",
};

/* Places that this machine cannot reach. */
static const struct {
	const char *function, *why;
} elsewhere[] = {
	{ "act_l1tf", "fail on CPUs that are flushed by displacement" },
	{ "dune_tile_hide", "fail where a tile that shows something has no page: nowhere" },
};

static struct call_sites sites;

/* ---- The failure ------------------------------------------------------------------- */

static int write_fail(const char *text)
{
	return module_write_parameter("dune_inject", "fail", text);
}

static void arm(const struct failure *failure, unsigned nth, pid_t pid)
{
	char text[128];
	int err;

	snprintf(text, sizeof(text), "%s %ld %u %d", failure->symbol, failure->value, nth, pid);
	err = write_fail(text);
	if (err)
		FAIL("no probe for \"%s\": %s", text, strerror(-err));
}

/* Whether the call did fail; where it came from is kept. */
static bool has_failed(const struct failure *failure)
{
	char line[160] = "", place[128] = "-";
	FILE *file = fopen(FAIL_FILE, "r");

	CHECK(file && fgets(line, sizeof(line), file));
	fclose(file);
	CHECK_EQ(sscanf(line, "%*d %127s", place), 1);
	if (!strcmp(place, "-"))
		return false;
	call_sites_reach(&sites, failure->symbol, place);
	if (getenv("SHOW_FAILURES"))
		harness_note("%s failed for %s", failure->symbol, place);
	return true;
}

/* ---- Each call of one function, and of all ------------------------------------------------ */

static void check_error(const struct failure *failure, unsigned nth, int error)
{
	if (error != failure->error)
		FAIL("call %u of %s: errno %d (%s), not %d", nth, failure->symbol, error,
		     strerror(error), failure->error);
}

/* Whether there was an nth call. */
static bool fail_use(const struct failure *failure, unsigned nth, pid_t (*counted)(void))
{
	for (unsigned i = 0; i < REPEATS; i++) {
		pid_t child;
		int error;

		child = harness_fork();
		if (!child) {
			leaks_count_me();
			arm(failure, nth, counted());
			_exit(attempt_use());
		}
		error = harness_wait(child);
		if (!has_failed(failure)) {
			check_error(&(struct failure){ failure->symbol, 0, 0 }, nth, error);
			return false;
		}
		check_error(failure, nth, error);
		CHECK_EQ(leaks_module_references(), 0);
	}
	return true;
}

static pid_t calls_from_the_module(void)
{
	return 0;
}

static bool has_jump(const char *symbol)
{
	for (size_t i = 0; i < sites.count; i++)
		if (!strcmp(sites.site[i].symbol, symbol) && sites.site[i].is_jump)
			return true;
	return false;
}

static void fail_each_use(const struct failure *failure)
{
	bool any = false;
	unsigned nth;

	for (nth = 1; nth < MAX_CALLS && fail_use(failure, nth, calls_from_the_module); nth++)
		any = true;
	/* A jump's caller is outside: calls of the process are its own, then. */
	if (!any && has_jump(failure->symbol))
		fail_use(failure, 1, getpid);
	write_fail("\n");
}

static void loads_after_all(void)
{
	write_fail("\n");
	CHECK_EQ(attempt_load(), 0);
	CHECK_EQ(attempt_in_child(attempt_use), 0);
}

static void fail_each_load(const struct failure *failure)
{
	for (unsigned nth = 1; nth < MAX_CALLS; nth++) {
		int error;

		if (module_is_loaded("dune"))
			CHECK_EQ(module_unload("dune"), 0);
		arm(failure, nth, 0);
		error = attempt_load();
		if (!has_failed(failure)) {
			CHECK_EQ(error, 0);
			break;
		}
		check_error(failure, nth, error);
	}
	write_fail("\n");
}

/* ---- Tests ------------------------------------------------------------------------------------ */

static void begin(void)
{
	char path[512];
	const char *wrong;

	snprintf(path, sizeof(path), "%s/dune.ko", getenv("DUNE_ROOT") ?: "/dune");
	wrong = call_sites_read(&sites, path);
	if (wrong)
		FAIL("%s: %s", path, wrong);
	leaks_begin();
	attempts_prepare();
	loads_after_all();
}

/* Whatever became of the test: no probe, and the module as it was. */
static void finish(void)
{
	if (module_is_loaded("dune_inject")) {
		write_fail("\n");
		CHECK_EQ(module_unload("dune_inject"), 0);
	}
	if (!module_is_loaded("dune"))
		CHECK_EQ(module_load_dune(), 0);
	leaks_end();
}

/* In a child, since a check that fails ends its process. */
static void with_injection(void (*test)(void))
{
	pid_t child;
	int err, code;

	TEST_REQUIRE(geteuid() == 0, "not root");
	TEST_REQUIRE(module_is_loaded("dune"), "dune is not a module here");
	/* It comes first; unloading dune.ko here is also what keeps its parameters. */
	CHECK_EQ(module_unload("dune"), 0);
	err = module_is_loaded("dune_inject") ? 0 : module_load("dune_inject", "");
	CHECK_EQ(module_load_dune(), 0);
	CHECK_EQ(err, 0);
	child = harness_fork();
	if (!child) {
		begin();
		test();
		_exit(0);
	}
	code = harness_wait(child);
	finish();
	if (code)
		_exit(code);
}

static bool looks_as_if_it_could_fail(const char *symbol)
{
	static const char *const parts[] = { "alloc",	    "get_free", "zeroed_page", "_insert",
					     "_create",	    "getfile",	"getfd",       "unused_fd",
					     "setup_state", "register" };

	/* What undoes something says so. */
	if (strstr(symbol, "put_") || strstr(symbol, "unregister") || strstr(symbol, "deregister"))
		return false;
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strstr(symbol, parts[i]))
			return true;
	return false;
}

static bool is_listed(const char *symbol)
{
	for (unsigned i = 0; i < NR_FAILURES; i++)
		if (!strcmp(failures[i].symbol, symbol))
			return true;
	for (unsigned i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (!strcmp(harmless[i], symbol))
			return true;
	return false;
}

static void find_unlisted(void)
{
	for (size_t i = 0; i < sites.count; i++)
		if (looks_as_if_it_could_fail(sites.site[i].symbol) &&
		    !is_listed(sites.site[i].symbol))
			FAIL("%s has no row", sites.site[i].symbol);
}

static void no_function_that_can_fail_is_left_out(void)
{
	with_injection(find_unlisted);
}

static const char *why_not_here(const struct call_site *site)
{
	for (unsigned i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		for (unsigned name = 0; name < MAX_SITE_NAMES; name++)
			if (!strncmp(site->place[name], elsewhere[i].function,
				     strlen(elsewhere[i].function)))
				return elsewhere[i].why;
	return NULL;
}

static void check_all_reached(void)
{
	unsigned reached = 0, missed = 0;

	for (size_t i = 0; i < sites.count; i++) {
		const struct call_site *site = &sites.site[i];
		const char *why = why_not_here(site);
		bool wanted = false;

		for (unsigned f = 0; f < NR_FAILURES; f++)
			wanted |= !strcmp(failures[f].symbol, site->symbol);
		reached += wanted && site->reached;
		if (!wanted || site->reached)
			continue;
		harness_note("%s called from %s did not fail%s%s", site->symbol, site->place[0],
			     why ? ": it can only " : "", why ?: "");
		missed += !why;
	}
	harness_note("calls at %u places failed", reached);
	CHECK_EQ(missed, 0);
}

static void fail_everywhere(void)
{
	long kept = leaks_settled_bytes(0);

	for (unsigned i = 0; i < NR_FAILURES; i++) {
		const struct failure *failure = &failures[i];
		long bytes;

		if (!call_sites_have(&sites, failure->symbol))
			continue;
		fail_each_load(failure);
		fail_each_use(failure);
		bytes = leaks_settled_bytes(kept + KEPT_BYTES);
		if (bytes > kept + KEPT_BYTES)
			FAIL("after failures of %s the kernel kept %ld bytes more", failure->symbol,
			     bytes - kept);
		CHECK_EQ(attempt_in_child(attempt_use), 0);
	}
	loads_after_all();
	check_all_reached();
}

static void each_failure_gives_its_error_and_leaves_nothing(void)
{
	with_injection(fail_everywhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		guest_test_limit(no_function_that_can_fail_is_left_out, 60),
		guest_test_limit(each_failure_gives_its_error_and_leaves_nothing, SECONDS),
	};

	return run_guest_tests(tests);
}
