// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzz target that it is linked with, as a unit test: every file of its corpus, then changes
 * of them at random, always the same ones. FUZZ_INPUTS in the environment says how many,
 * else the Makefile.
 */
#include "target.h"
#include "../guest/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { MAX_FILES = 512, MAX_BYTES = 8192 };

static struct {
	uint8_t *data;
	size_t bytes;
} files[MAX_FILES];
static unsigned nr_files;

/* What is tried now: left behind as a file if the target does not come back. */
static void try(const uint8_t *data, size_t bytes)
{
	static int last = -1;

	if (last < 0)
		last = open(LAST_INPUT, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_return_code(ftruncate(last, bytes), errno);
	assert_int_equal(pwrite(last, data, bytes, 0), bytes);
	LLVMFuzzerTestOneInput(data, bytes);
}

static int read_corpus(void **state)
{
	DIR *directory = opendir(CORPUS);
	struct dirent *entry;

	(void)state;
	while (directory && (entry = readdir(directory)) && nr_files < MAX_FILES) {
		char path[4096];
		FILE *file;

		snprintf(path, sizeof(path), CORPUS "/%s", entry->d_name);
		if (entry->d_name[0] == '.' || !(file = fopen(path, "r")))
			continue;
		files[nr_files].data = malloc(MAX_BYTES);
		files[nr_files].bytes = fread(files[nr_files].data, 1, MAX_BYTES, file);
		nr_files++;
		fclose(file);
	}
	if (directory)
		closedir(directory);
	return nr_files ? 0 : -1;
}

static void the_corpus_is_survived(void **state)
{
	(void)state;
	for (unsigned i = 0; i < nr_files; i++)
		try(files[i].data, files[i].bytes);
}

static size_t change(struct random *random, uint8_t *data, size_t bytes)
{
	size_t at = random_below(random, bytes), count = 1 + random_below(random, 16);
	uint64_t value = random_value(random);

	if (count > bytes - at)
		count = bytes - at;
	switch (random_below(random, 6)) {
	case 0:
		data[at] ^= 1 << random_below(random, 8);
		break;
	case 1:
		data[at] = value;
		break;
	case 2:
		memcpy(data + at, &value, count < 8 ? count : 8);
		break;
	case 3: /* a piece of it elsewhere */
		memmove(data + random_below(random, bytes - count + 1), data + at, count);
		break;
	case 4: /* less of it */
		memmove(data + at, data + at + count, bytes - at - count);
		return bytes > count ? bytes - count : bytes;
	case 5: /* more */
		if (bytes + count > MAX_BYTES)
			break;
		memmove(data + at + count, data + at, bytes - at);
		random_fill(random, data + at, count);
		return bytes + count;
	}
	return bytes;
}

static void changes_of_it_are_survived(void **state)
{
	unsigned inputs = atoi(getenv("FUZZ_INPUTS") ?: "0") ?: INPUTS;
	struct random random = { 1 };
	uint8_t data[MAX_BYTES];

	(void)state;
	for (unsigned i = 0; i < inputs; i++) {
		unsigned file = random_below(&random, nr_files);
		size_t bytes = files[file].bytes;

		memcpy(data, files[file].data, bytes);
		for (unsigned n = 1 + random_below(&random, 8); n && bytes; n--)
			bytes = change(&random, data, bytes);
		try(data, bytes);
	}
	remove(LAST_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_corpus_is_survived),
		cmocka_unit_test(changes_of_it_are_survived),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, read_corpus, NULL);
}
