// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the host's policy against speculation attacks where it is stated for
 * people, since the kernel's own variables are not for modules, and does the
 * same for our entries and exits. Called by main.c at load.
 *
 * A guest attacks the host as a KVM guest would (it has its own page tables)
 * and as a process would (it shares its CPU with system calls).
 */
#include <linux/cpu.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <asm/cpufeature.h>

#include "ibpb.h"
#include "mitigation.h"

#define VULNERABILITIES "/sys/devices/system/cpu/vulnerabilities/"
#define STATUS_BYTES 256

DEFINE_STATIC_KEY_FALSE(dune_flush_l1d);
DEFINE_STATIC_KEY_FALSE(dune_flush_l1d_always);
DEFINE_STATIC_KEY_FALSE(dune_clear_buffers);
DEFINE_STATIC_KEY_FALSE(dune_clear_bhb);

/*
 * Twice the largest L1D there is on affected CPUs: what the flush command does,
 * by displacement, where microcode has none.
 */
#define L1D_FILLER_ORDER 4
#define L1D_FILLER_BYTES (PAGE_SIZE << L1D_FILLER_ORDER)
static const u8 *l1d_filler;

void dune_mitigation_flush_l1d(void)
{
	unsigned long i;

	if (!l1d_filler) {
		cpu_write_msr(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
		return;
	}
	/* First the TLB, so that no page walk comes between the lines. */
	for (i = 0; i < L1D_FILLER_BYTES; i += PAGE_SIZE)
		(void)READ_ONCE(l1d_filler[i]);
	for (i = 0; i < L1D_FILLER_BYTES; i += L1_CACHE_BYTES)
		(void)READ_ONCE(l1d_filler[i]);
	rmb(); /* all of it before the entry */
}

struct vulnerability {
	const char *name; /* of the file */
	/* That the CPU has it, as the kernel knows: then the file must be there. */
	unsigned int bug;
	/* Acts on the status; returns what was done, or NULL: it cannot be. */
	const char *(*act)(const char *status);
	const char *danger; /* where it cannot be */
};

static const char *act_l1tf(const char *status)
{
	/* Without KVM's word on it, EPT is reason enough, if anything is. */
	if (cpu_mitigations_off() || strstr(status, "VMX: vulnerable") ||
	    strstr(status, "VMX: flush not necessary"))
		return "no flush";
	if (!boot_cpu_has(X86_FEATURE_FLUSH_L1D)) {
		l1d_filler = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO,
						      L1D_FILLER_ORDER);
		if (!l1d_filler)
			return NULL;
	}
	/* KVM's "conditional cache flushes": after other code has run. */
	if (strstr(status, "VMX: cache flushes")) {
		static_branch_enable(&dune_flush_l1d_always);
		return l1d_filler ? "L1D displaced before each entry" :
				    "L1D flushed before each entry";
	}
	static_branch_enable(&dune_flush_l1d);
	return l1d_filler ?
		       "L1D displaced before entries, unless nothing else has run" :
		       "L1D flushed before entries, unless nothing else has run";
}

static const char *act_clear_buffers(const char *status)
{
	/* The latter are the register file's words for the same. */
	if (!strstr(status, "Clear CPU buffers") &&
	    !strstr(status, "Clear Register File"))
		return "as the host does";
	static_branch_enable(&dune_clear_buffers);
	return "VERW before each entry";
}

static const char *act_spectre_v2(const char *status)
{
	/*
	 * As "Vulnerable: eIBRS with unprivileged eBPF". Of what it does all the same
	 * the kernel says nothing then, so that is taken for granted.
	 */
	bool ends = str_has_prefix(status, "Vulnerable:");
	bool history = ends || strstr(status, "SW loop");
	bool barrier = ends || (strstr(status, "IBPB:") &&
				!strstr(status, "IBPB: disabled"));

	if (history)
		static_branch_enable(&dune_clear_bhb);
	if (barrier)
		dune_ibpb_init();
	if (history && barrier)
		return "branch history cleared after each exit, IBPB between KVM's guests and ours";
	if (history)
		return "branch history cleared after each exit";
	if (barrier)
		return "IBPB between KVM's guests and ours";
	return "as the host does";
}

/*
 * The host has the branch predictors flushed before user mode runs again after a
 * guest of KVM's, and one of ours may run before that. Not after ours: its user
 * mode is the same process, whose code there can steer its predictors as well.
 */
static const char *act_vmscape(const char *status)
{
	if (!strstr(status, "exit to userspace"))
		return "as the host does";
	dune_ibpb_init();
	return "IBPB between KVM's guests and ours";
}

/*
 * A host that defends itself keeps its memory out of user space's page tables. A
 * guest's ring 3 and ring 0 share theirs, so there it would not hold.
 */
static const char *act_meltdown(const char *status)
{
	return NULL;
}

/* exec_leaf_4k of vmx_caps.c, whatever the host's policy is. */
static const char *act_itlb_multihit(const char *status)
{
	return "large pages are not executable";
}

/*
 * Microcode does it, or what is compiled into the kernel and its modules, or the
 * thread's own SPEC_CTRL, with which its guest runs as well.
 */
static const char *act_nothing_else(const char *status)
{
	return "as the host does";
}

static const struct vulnerability vulnerabilities[] = {
	{ "l1tf", X86_BUG_L1TF, act_l1tf,
	  "no memory to displace the L1D with" },
	{ "mds", X86_BUG_MDS, act_clear_buffers },
	{ "tsx_async_abort", X86_BUG_TAA, act_clear_buffers },
	{ "mmio_stale_data", X86_BUG_MMIO_STALE_DATA, act_clear_buffers },
	{ "reg_file_data_sampling", X86_BUG_RFDS, act_clear_buffers },
	{ "spectre_v2", X86_BUG_SPECTRE_V2, act_spectre_v2 },
	{ "vmscape", X86_BUG_VMSCAPE, act_vmscape },
	{ "itlb_multihit", X86_BUG_ITLB_MULTIHIT, act_itlb_multihit },
	{ "spectre_v1", 0, act_nothing_else },
	{ "retbleed", 0, act_nothing_else },
	{ "spec_store_bypass", 0, act_nothing_else },
	{ "srbds", 0, act_nothing_else },
	{ "gather_data_sampling", 0, act_nothing_else },
	{ "indirect_target_selection", 0, act_nothing_else },
	{ "meltdown", X86_BUG_CPU_MELTDOWN, act_meltdown,
	  "ring 3 could read ring 0 of its own process, though no other" },
};

/* The first line of the host's status; false if no such file is seen from here. */
static bool read_status(const char *name, char *status)
{
	char path[sizeof(VULNERABILITIES) + 32];
	struct file *file;
	loff_t pos = 0;
	ssize_t bytes;

	snprintf(path, sizeof(path), VULNERABILITIES "%s", name);
	file = filp_open(path, O_RDONLY, 0);
	if (IS_ERR(file))
		return false;
	bytes = kernel_read(file, status, STATUS_BYTES - 1, &pos);
	filp_close(file, NULL);
	if (bytes <= 0)
		return false;
	status[bytes] = '\0';
	*strchrnul(status, '\n') = '\0';
	return true;
}

/**
 * dune_mitigation_init - do for our entries and exits what the host's policy asks
 * @unsafe: load even where we cannot
 *
 * Return: 0, or -EOPNOTSUPP with the reason in the log.
 */
int __init dune_mitigation_init(bool unsafe)
{
	char status[STATUS_BYTES];
	int i;

	for (i = 0; i < ARRAY_SIZE(vulnerabilities); i++) {
		const struct vulnerability *v = &vulnerabilities[i];
		const char *done;

		if (!read_status(v->name, status)) {
			if (!v->bug || !boot_cpu_has_bug(v->bug))
				continue;
			if (!unsafe) {
				pr_err("%s: not loaded, the CPU has it and the host's status cannot be read (" VULNERABILITIES
				       "); unsafe=1 loads all the same\n",
				       v->name);
				return -EOPNOTSUPP;
			}
			pr_warn("%s: UNSAFE, the host's status cannot be read\n",
				v->name);
			continue;
		}
		if (!strcmp(status, "Not affected"))
			continue;
		if (!strcmp(status, "Vulnerable") ||
		    !strncmp(status, "Vulnerable;", 11)) {
			pr_info("%s: nothing, as the host (%s)\n", v->name,
				status);
			continue;
		}
		done = v->act(status);
		if (done) {
			pr_info("%s: %s (host: %s)\n", v->name, done, status);
		} else if (unsafe) {
			pr_warn("%s: UNSAFE, %s (host: %s)\n", v->name,
				v->danger, status);
		} else {
			pr_err("%s: not loaded, %s (host: %s); unsafe=1 loads all the same\n",
			       v->name, v->danger, status);
			return -EOPNOTSUPP;
		}
	}
	return 0;
}

void dune_mitigation_exit(void)
{
	dune_ibpb_exit();
	free_pages((unsigned long)l1d_filler, L1D_FILLER_ORDER);
}
