// SPDX-License-Identifier: GPL-2.0-only
/* Reads /sys/kernel/debug/dune; see vms.h. */
#include "vms.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- One vm ------------------------------------------------------------ */

/* One more at the end of a list, zeroed. */
static void *append(void *list, unsigned nr, size_t bytes)
{
	char *longer = realloc(list, (nr + 1) * bytes);

	if (!longer) {
		perror("dune-stat");
		exit(1);
	}
	memset(longer + nr * bytes, 0, bytes);
	return longer;
}

static void add_counter(struct record *record, const char *name, uint64_t value)
{
	struct counter **list = &record->counters;
	unsigned *nr = &record->nr_counters;
	struct counter *counter;

	if (!strncmp(name, "exit:", 5)) {
		list = &record->exits;
		nr = &record->nr_exits;
		name += 5;
	}
	*list = append(*list, *nr, sizeof(**list));
	counter = &(*list)[(*nr)++];
	snprintf(counter->name, sizeof(counter->name), "%s", name);
	counter->value = value;
}

/* Lines are "name value", up to the end of the line. */
static void read_record_line(struct vm *vm, struct record **record, char *line)
{
	char *value = strchr(line, ' ');
	uint64_t number;

	if (!value)
		return;
	*value++ = 0;
	number = strtoull(value, NULL, 10);
	if (!strcmp(line, "vm")) {
		*record = &vm->total;
		vm->total.number = number;
	} else if (!strcmp(line, "vcpu")) {
		vm->vcpus = append(vm->vcpus, vm->nr_vcpus, sizeof(*vm->vcpus));
		*record = &vm->vcpus[vm->nr_vcpus++];
		(*record)->number = number;
	} else if (!strcmp(line, "pid")) {
		vm->pid = number;
	} else if (!strcmp(line, "comm")) {
		snprintf(vm->comm, sizeof(vm->comm), "%s", value);
	} else if (!strcmp(line, "vmx")) {
		snprintf(vm->vmx, sizeof(vm->vmx), "%s", value);
	} else if (*record && strcmp(line, "vcpus") && strcmp(line, "cpu")) {
		add_counter(*record, line, number);
	}
}

static void free_record(struct record *record)
{
	free(record->counters);
	free(record->exits);
}

static void free_vm(struct vm *vm)
{
	free_record(&vm->total);
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		free_record(&vm->vcpus[i]);
	free(vm->vcpus);
}

/* False with errno; EIO and ENOENT are a vm that has just gone. */
static bool read_vm(int directory, const char *name, struct vm *vm)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	struct record *record = NULL;
	char *line = NULL;
	size_t bytes = 0;
	ssize_t length;
	int error;

	memset(vm, 0, sizeof(*vm));
	if (!file)
		return false;
	errno = 0;
	while ((length = getline(&line, &bytes, file)) > 0) {
		line[length - 1] = 0;
		read_record_line(vm, &record, line);
	}
	error = ferror(file) ? errno : 0;
	free(line);
	fclose(file);
	if (error) {
		free_vm(vm);
		errno = error;
	}
	return !error;
}

/* ---- All --------------------------------------------------------------- */

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "dune-stat: %s: %s\n", what, why);
	return -1;
}

/* Where debugfs is mounted, or NULL. */
static const char *find_debugfs(char *path, size_t bytes)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	const char *found = NULL;
	struct mntent *mount;

	while (mounts && !found && (mount = getmntent(mounts)))
		if (!strcmp(mount->mnt_type, "debugfs") &&
		    snprintf(path, bytes, "%s/dune", mount->mnt_dir) < (int)bytes)
			found = path;
	if (mounts)
		endmntent(mounts);
	return found;
}

static DIR *open_directory(void)
{
	char path[4096];
	DIR *directory = NULL;

	if (access("/sys/module/dune", F_OK)) {
		fail("the module dune is not loaded", "there is nothing to show");
	} else if (!find_debugfs(path, sizeof(path))) {
		fail("debugfs is not mounted", "mount -t debugfs debugfs /sys/kernel/debug");
	} else {
		directory = opendir(path);
		if (!directory)
			fail(path, errno == EACCES   ? "permission denied: this takes root"
				   : errno == ENOENT ? "the module shows nothing there"
						     : strerror(errno));
	}
	return directory;
}

static bool is_of(const char *name, pid_t pid)
{
	int its_pid, length = 0;

	if (sscanf(name, "%d-%*u%n", &its_pid, &length) < 1 || !length || name[length])
		return false;
	return !pid || pid == its_pid;
}

int vms_read(struct vms *vms, pid_t pid)
{
	DIR *directory = open_directory();
	struct dirent *entry;
	struct timespec now;
	int result = 0;

	memset(vms, 0, sizeof(*vms));
	if (!directory)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	vms->seconds = now.tv_sec + now.tv_nsec / 1e9;
	while (!result && (entry = readdir(directory))) {
		struct vm vm;

		if (!is_of(entry->d_name, pid))
			continue;
		if (read_vm(dirfd(directory), entry->d_name, &vm)) {
			vms->vm = append(vms->vm, vms->nr, sizeof(vm));
			vms->vm[vms->nr++] = vm;
		} else if (errno != ENOENT && errno != EIO) {
			result = fail(entry->d_name, errno == EPERM ? "the kernel is locked down"
								    : strerror(errno));
		}
	}
	closedir(directory);
	if (result)
		vms_free(vms);
	return result;
}

void vms_free(struct vms *vms)
{
	for (unsigned i = 0; i < vms->nr; i++)
		free_vm(&vms->vm[i]);
	free(vms->vm);
	memset(vms, 0, sizeof(*vms));
}

const struct vm *vms_find(const struct vms *vms, uint64_t number)
{
	for (unsigned i = 0; i < vms->nr; i++)
		if (vms->vm[i].total.number == number)
			return &vms->vm[i];
	return NULL;
}

uint64_t record_counter(const struct record *record, const char *name)
{
	for (unsigned i = 0; i < record->nr_counters; i++)
		if (!strcmp(record->counters[i].name, name))
			return record->counters[i].value;
	return 0;
}
