// SPDX-License-Identifier: MIT
/*
 * exception: the program handles its own divide error and page faults, without a
 * signal and without leaving ring 0, and goes on.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "dune.h"

static volatile char page[4096] __attribute__((aligned(4096)));
static volatile unsigned faults;
static volatile uint64_t fault_address;

/* `div` of the function below is two bytes long: go on behind it, with 42. */
__attribute__((target("general-regs-only"))) static void on_divide_error(struct dune_frame *frame)
{
	frame->rax = 42;
	frame->rip += 2;
}

/* Gives the page back its write permission and lets the access happen again. */
__attribute__((target("general-regs-only"))) static void on_page_fault(struct dune_frame *frame)
{
	(void)frame;
	faults++;
	fault_address = dune_fault_address();
	dune_protect((void *)page, sizeof(page), DUNE_PROT_READ | DUNE_PROT_WRITE);
}

static unsigned divide(unsigned a, unsigned b)
{
	unsigned quotient = a;

	__asm__ volatile("xor %%edx, %%edx\n\tdiv %1" : "+a"(quotient) : "c"(b) : "edx", "cc");
	return quotient;
}

int main(void)
{
	int error = dune_init();

	if (!error)
		error = dune_enter();
	if (error) {
		fprintf(stderr, "exception: cannot enter Dune: %s\n", strerror(-error));
		return 1;
	}
	dune_set_handler(0, on_divide_error, 0);
	dune_set_handler(14, on_page_fault, 0);

	printf("10 / 2 = %u\n", divide(10, 2));
	printf("10 / 0 = %u, says the handler\n", divide(10, 0));

	dune_protect((void *)page, sizeof(page), DUNE_PROT_READ);
	page[123] = 'x';
	printf("%u page fault, at page + %lu; page[123] is now '%c'\n", faults,
	       (unsigned long)(fault_address - (uint64_t)page), page[123]);
	return faults != 1 || page[123] != 'x';
}
