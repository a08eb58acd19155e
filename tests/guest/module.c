// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel modules, by the system calls themselves. dune.ko is looked for in
 * $DUNE_MODULE, $DUNE_ROOT and /dune, others in the last two.
 */
#define _GNU_SOURCE
#include "module.h"
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PARAMETERS "/sys/module/dune/parameters"

static char parameters[512];

bool module_is_loaded(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	return !access(path, F_OK);
}

/* " name=value …" of the module as it is loaded now. */
static void remember_parameters(void)
{
	DIR *directory = opendir(PARAMETERS);
	struct dirent *entry;

	parameters[0] = 0;
	while (directory && (entry = readdir(directory))) {
		char path[512], value[64] = "";
		size_t length = strlen(parameters);
		FILE *file;

		snprintf(path, sizeof(path), PARAMETERS "/%s", entry->d_name);
		if (entry->d_name[0] == '.' || !(file = fopen(path, "r")))
			continue;
		if (fgets(value, sizeof(value), file))
			snprintf(parameters + length, sizeof(parameters) - length, " %s=%.*s",
				 entry->d_name, (int)strcspn(value, "\n"), value);
		fclose(file);
	}
	if (directory)
		closedir(directory);
}

int module_unload(const char *name)
{
	if (!strcmp(name, "dune") && !parameters[0])
		remember_parameters();
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

int module_open(const char *name)
{
	char path[512];

	if (!strcmp(name, "dune") && getenv("DUNE_MODULE"))
		return open(getenv("DUNE_MODULE"), O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/%s.ko", getenv("DUNE_ROOT") ?: "/dune", name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int module_load(const char *name, const char *with)
{
	int fd = module_open(name), result = 0;

	if (fd < 0)
		return -errno;
	if (syscall(SYS_finit_module, fd, with, 0))
		result = -errno;
	close(fd);
	return result;
}

int module_write_parameter(const char *name, const char *parameter, const char *value)
{
	char path[512];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", name, parameter);
	return file_write(path, "%s", value) ? 0 : -errno;
}

int module_load_dune_with(const char *more)
{
	char all[sizeof(parameters) + 64];

	snprintf(all, sizeof(all), "%s %s", parameters, more);
	return module_load("dune", all);
}

/* The file is gone, but stays where it is mounted. */
static int show(const struct module_status *status)
{
	char file[] = "/tmp/status.XXXXXX", path[256];
	int fd = mkstemp(file), err = 0;

	if (fd < 0)
		return -errno;
	close(fd);
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/vulnerabilities/%s",
		 status->vulnerability);
	if (!file_write(file, "%s\n", status->text) || mount(file, path, NULL, MS_BIND, NULL))
		err = -errno;
	unlink(file);
	return err;
}

/* The module reads what the one who loads it sees there. */
static int load_where(const struct module_status *statuses, size_t nr)
{
	int err = 0;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	for (size_t i = 0; i < nr && !err; i++)
		err = show(&statuses[i]);
	return err ?: module_load_dune_with("unsafe=1");
}

int module_load_dune_where(const struct module_status *statuses, size_t nr)
{
	int status = -1;
	pid_t child = fork();

	if (!child)
		_exit(-load_where(statuses, nr));
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

int module_load_dune(void)
{
	return module_load_dune_with("");
}

int module_probe_with(const char *name, const char *parameter, const char *other)
{
	int status = -1;
	pid_t child = fork();

	if (!child) {
		execl("/sbin/modprobe", "modprobe", name, parameter, other, (char *)NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int module_probe(const char *name)
{
	return module_probe_with(name, NULL, NULL);
}
