// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that breaks its own tables inside dies of SIGSEGV, after one line on
 * stderr that says what happened and where; nothing else dies or even notices.
 */
#define _GNU_SOURCE
#include "guest.h"
#include "worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

struct __attribute__((packed)) table {
	uint16_t limit;
	uint64_t base;
};

static struct table idt(void)
{
	struct table table;

	__asm__ volatile("sidt %0" : "=m"(table));
	return table;
}

static void triple_fault(void)
{
	const struct table none = { 0, 0 };

	__asm__ volatile("lidt %0; ud2" ::"m"(none));
}

/* The IDT ends with vector 8, so #GP, vector 13, is none: #GP again, hence #DF. */
static void double_fault(void)
{
	struct table table = idt();

	table.limit = 9 * 16 - 1;
	__asm__ volatile("lidt %0; mov $0x800000000000, %%rax; mov (%%rax), %%al" ::"m"(table)
			 : "rax");
}

static void page_table_outside(void)
{
	__asm__ volatile("mov %0, %%cr3" ::"r"(0x7fffff000ul) : "memory");
}

static void jump_out_of_the_address_space(void)
{
	__asm__ volatile("jmp *%0" ::"r"(0x800000000000ul));
}

static void stack_out_of_the_address_space(void)
{
	__asm__ volatile("mov %0, %%rsp; push %%rax" ::"r"(0x800000000010ul));
}

static void forbidden_instruction(void)
{
	__asm__ volatile("wbinvd");
}

static void task_switch(void)
{
	__asm__ volatile("pushfq; orq $0x4000, (%%rsp); popfq; iretq" ::: "memory");
}

static const struct {
	const char *name;
	void (*function)(void);
	const char *says;
	int signal;
} rows[] = {
	{ "triple fault", triple_fault, "triple fault", SIGSEGV },
	{ "double fault", double_fault, "double fault", SIGSEGV },
	{ "page table", page_table_outside, "page", SIGSEGV },
	{ "rip", jump_out_of_the_address_space, "general protection", SIGSEGV },
	{ "rsp", stack_out_of_the_address_space, "stack segment", SIGBUS },
	{ "wbinvd", forbidden_instruction, "general protection", SIGSEGV },
	{ "task switch", task_switch, "general protection", SIGSEGV },
};

static void each_says_why_and_dies(void)
{
	struct worker worker = worker_start();

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[2048] = "";
		int pipe_fds[2], code;
		size_t length = 0;
		ssize_t bytes;
		pid_t child;

		CHECK_OK(pipe(pipe_fds));
		child = harness_fork();
		if (!child) {
			enter_dune();
			CHECK_OK(dup2(pipe_fds[1], 2));
			rows[i].function();
			FAIL("%s: nothing happened", rows[i].name);
		}
		close(pipe_fds[1]);
		while ((bytes = read(pipe_fds[0], text + length, sizeof(text) - 1 - length)) > 0)
			length += bytes;
		close(pipe_fds[0]);
		code = harness_wait(child);
		if (code != 128 + rows[i].signal || !strstr(text, rows[i].says) ||
		    strncmp(text, "dune: process ", 14) || !strstr(text, "rip 0x") ||
		    strchr(text, '\n') != text + length - 1)
			FAIL("%s: ended with %d and said: %s", rows[i].name, code, text);
		worker_must_go_on(&worker);
	}
	worker_finish(&worker);
	enter_dune();
}

int main(void)
{
	const struct CMUnitTest tests[] = { guest_test_limit(each_says_why_and_dies, 60) };

	return run_guest_tests(tests);
}
