// SPDX-License-Identifier: MIT
/*
 * hello: the smallest Dune program. It enters ring 0, reads what only ring 0 may
 * read, and prints it with the same printf() as before.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "dune.h"

static int ring(void)
{
	unsigned short cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	return cs & 3;
}

int main(void)
{
	unsigned long cr0, cr3, cr4;
	int error;

	printf("before: ring %d, process %d\n", ring(), getpid());

	error = dune_init();
	if (!error)
		error = dune_enter();
	if (error) {
		fprintf(stderr, "hello: cannot enter Dune: %s\n", strerror(-error));
		return 1;
	}

	/* Outside, each of these three would end the program. */
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	printf("inside: ring %d, process %d\n", ring(), getpid());
	printf("        cr0 %#lx, cr3 %#lx, cr4 %#lx\n", cr0, cr3, cr4);

	error = dune_leave();
	printf("after:  ring %d, dune_leave() returned %d\n", ring(), error);
	return error != 0;
}
