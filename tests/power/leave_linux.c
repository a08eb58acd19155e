// SPDX-License-Identifier: GPL-2.0-only
/*
 * leave_linux kexec|crash: while a process computes inside Dune, the kernel hands
 * the machine to another program, by kexec or because it panics. That program
 * (payload.S) reports success. With VMX on the CPU dies on the way there, at the
 * first write of CR4: so this says that VMX was turned off in time.
 *
 * `make check-power` runs it. Not for a computer that anybody needs.
 */
#define _GNU_SOURCE
#include <dune.h>

#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern const char payload[], payload_end[];

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static _Noreturn void compute(volatile int *began)
{
	if (dune_init() || dune_enter())
		_exit(1);
	*began = 1;
	for (;;)
		getppid();
}

static void start_a_process_inside(void)
{
	volatile int *began =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (began == MAP_FAILED)
		die("mmap");
	for (long i = sysconf(_SC_NPROCESSORS_ONLN); i > 0; i--) {
		*began = 0;
		if (!fork())
			compute(began);
		for (int turn = 0; !*began; turn++) {
			if (turn == 5000)
				die("the process does not get inside");
			usleep(1000);
		}
	}
}

/* Where the kernel keeps room for what comes after a panic. */
static unsigned long crash_region(void)
{
	FILE *file = fopen("/proc/iomem", "r");
	unsigned long start = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, "Crash kernel"))
			start = strtoul(line, NULL, 16);
	if (!start) {
		fprintf(stderr, "no memory for a crash: boot with crashkernel=64M\n");
		exit(1);
	}
	fclose(file);
	return start;
}

static void load_payload(unsigned long at, unsigned long flags)
{
	struct kexec_segment segment = {
		.buf = payload,
		.bufsz = payload_end - payload,
		.mem = (void *)at,
		.memsz = 4096,
	};

	if (syscall(SYS_kexec_load, at, 1ul, &segment, flags | KEXEC_ARCH_X86_64))
		die("kexec_load");
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

int main(int argc, char **argv)
{
	int crash = argc > 1 && !strcmp(argv[1], "crash");

	if (crash)
		load_payload(crash_region(), KEXEC_ON_CRASH);
	else
		load_payload(0x10000000, 0);
	start_a_process_inside();
	if (crash) {
		/* `run` takes the kernel's last words for a failure. */
		write_file("/proc/sys/kernel/printk", "0 4 0 4");
		write_file("/proc/sysrq-trigger", "c");
	} else {
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_KEXEC, NULL);
	}
	die("Linux is still there");
}
