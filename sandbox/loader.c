// SPDX-License-Identifier: GPL-2.0-only
/*
 * The program loader: image.c says what is in the file, layout.c where it goes, stack.c what the
 * program finds on its stack. Afterwards main.c enters Dune and runs it.
 *
 * Everything here runs outside Dune, so ring 3's memory can be written as it is.
 */
#include "loader.h"
#include "image.h"
#include "layout.h"
#include "memory.h"
#include "stack.h"

#include <dune.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAIN_ARENA_BYTES    (64 * DUNE_ARENA_BYTES)
#define DEFAULT_STACK_BYTES (8ull << 20)
#define MAX_STACK_BYTES	    (64ull << 20)

static int fail(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("dune-sandbox: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return status;
}

static int open_executable(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* it may be a pipe */
	struct stat status;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	    faccessat(AT_FDCWD, path, X_OK, AT_EACCESS)) {
		close(fd);
		return -EACCES;
	}
	return fd;
}

int sandbox_program_take(struct sandbox_program *program, const char *name, int fd)
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	/* Now: a relative name would mean something else after chdir(). */
	length = readlink(link, program->executable, PATH_MAX - 1);
	if (length < 0 || strlen(name) >= PATH_MAX) {
		int result = length < 0 ? -errno : -ENAMETOOLONG;

		close(fd);
		return result;
	}
	program->executable[length] = '\0';
	strcpy(program->path, name);
	return fd;
}

/* Along PATH. */
static int search(struct sandbox_program *program, const char *name)
{
	const char *directory = getenv("PATH") ?: "/usr/local/bin:/usr/bin:/bin";
	char path[PATH_MAX];
	int result = -ENOENT, fd;

	while (*name) {
		int length = strcspn(directory, ":");

		if ((size_t)snprintf(path, PATH_MAX, "%.*s/%s", length ? length : 1,
				     length ? directory : ".", name) < PATH_MAX) {
			struct stat status;

			fd = open_executable(path);
			if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
				return sandbox_program_take(program, path, fd);
			if (fd >= 0)
				close(fd);
			if (fd == -EACCES)
				result = -EACCES; /* as execvp() does: goes on, but remembers */
		}
		if (!directory[length])
			break;
		directory += length + 1;
	}
	return result;
}

int sandbox_program_open(struct sandbox_program *program, const char *name)
{
	int fd;

	if (!strchr(name, '/'))
		return search(program, name);
	fd = open_executable(name);
	return fd < 0 ? fd : sandbox_program_take(program, name, fd);
}

static uint64_t granule_down(uint64_t value)
{
	return value & -(uint64_t)DUNE_ARENA_BYTES;
}

static uint64_t lowest_address(void)
{
	unsigned long low = 65536;
	FILE *file = fopen("/proc/sys/vm/mmap_min_addr", "re");

	if (file) {
		if (fscanf(file, "%lu", &low) != 1 || low < SANDBOX_PAGE_BYTES)
			low = 65536;
		fclose(file);
	}
	return low;
}

/* The arena around an image that only runs at its own addresses. */
static int make_fixed_arena(struct sandbox_memory *memory, const struct sandbox_image *image)
{
	uint64_t low = lowest_address(), start = granule_down(image->low);
	uint64_t end = granule_down(image->high + DUNE_ARENA_BYTES - 1);
	void *arena;
	int result;

	if (image->low < low)
		return -EPERM;
	result = dune_arena_create(start, end - start, DUNE_ARENA_KEEP, &arena);
	return result ? result : sandbox_layout_add_fixed(memory, low, start, end - start);
}

/* As large as the CPU's guest-physical space allows, half of which is left to the runtime. */
static int make_main_arena(struct sandbox_memory *memory)
{
	uint64_t bytes = MAIN_ARENA_BYTES;
	struct dune_info info;
	void *start = NULL;
	int result = dune_get_info(&info);

	if (result)
		return result;
	if (bytes > info.nr_tiles / 2 * DUNE_ARENA_BYTES)
		bytes = info.nr_tiles / 2 * DUNE_ARENA_BYTES;
	result = -ENOMEM;
	for (; bytes >= 2 * DUNE_ARENA_BYTES; bytes /= 2) {
		result = dune_arena_create(0, bytes, 0, &start);
		if (result != -ENOMEM)
			break;
	}
	if (!result)
		sandbox_layout_add_main(memory, (uintptr_t)start, bytes);
	return result;
}

/* Nothing of the runtime may lie where ring 3 can see it. */
static bool runtime_is_apart(const struct sandbox_memory *memory)
{
	void *heap = malloc(1);
	const void *own[] = {
		(void *)runtime_is_apart, &heap, heap, memory, stderr, environ, getenv
	};
	bool apart = true;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		apart = apart && !dune_arena_contains((uintptr_t)own[i], 1);
	free(heap);
	return apart;
}

/*
 * What is behind the file's bytes in the segment's last page, and the pages after it. The page is
 * cleared to its end, even beyond the segment: ld.so's own malloc begins there.
 */
static int map_bss(struct sandbox_memory *memory, const struct sandbox_segment *segment,
		   uint64_t bias)
{
	uint64_t file_end = bias + segment->address + segment->file_bytes;
	uint64_t page = (file_end + SANDBOX_PAGE_BYTES - 1) & -SANDBOX_PAGE_BYTES;
	uint64_t end = bias + segment->address + segment->memory_bytes;

	if (segment->file_bytes && segment->prot & PROT_WRITE)
		memset((void *)file_end, 0, page - file_end);
	if (!segment->file_bytes)
		page = file_end & -SANDBOX_PAGE_BYTES;
	if (page >= end)
		return 0;
	return sandbox_memory_map(memory, page, end - page, segment->prot,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int map_segments(struct sandbox_memory *memory, const struct sandbox_image *image, int fd,
			uint64_t bias)
{
	for (unsigned i = 0; i < image->nr_segments; i++) {
		const struct sandbox_segment *segment = &image->segment[i];
		uint64_t into = segment->address % SANDBOX_PAGE_BYTES;
		int result = 0;

		if (segment->file_bytes)
			result = sandbox_memory_map(memory, bias + segment->address - into,
						    segment->file_bytes + into, segment->prot,
						    MAP_PRIVATE, fd, segment->offset - into);
		if (!result)
			result = map_bss(memory, segment, bias);
		if (result)
			return result;
	}
	return 0;
}

/* Maps a position-independent image where `place` says; its bias in *bias. */
static int map_movable(struct sandbox_memory *memory, const struct sandbox_image *image, int fd,
		       int (*place)(struct sandbox_memory *, uint64_t, uint64_t, uint64_t *),
		       uint64_t *bias)
{
	uint64_t start;
	int result = place(memory, image->high - image->low, image->align, &start);

	if (result)
		return result;
	*bias = start - (image->low & -image->align);
	return map_segments(memory, image, fd, *bias);
}

static int load_interpreter(struct sandbox_memory *memory, const char *program, const char *path,
			    struct sandbox_image *image, uint64_t *bias)
{
	int fd = open_executable(path), result;
	const char *why;

	if (fd < 0)
		return fail(fd == -ENOENT ? SANDBOX_EXIT_NOT_FOUND : SANDBOX_EXIT_NOT_EXECUTABLE,
			    "%s: its interpreter %s: %s", program, path, strerror(-fd));
	if (sandbox_image_read(fd, image, &why)) {
		close(fd);
		return fail(SANDBOX_EXIT_NOT_EXECUTABLE, "%s: its interpreter %s %s", program, path,
			    why);
	}
	result = image->fixed ? -ENOEXEC
			      : map_movable(memory, image, fd, sandbox_memory_place, bias);
	close(fd);
	if (result)
		return fail(SANDBOX_EXIT_NOT_EXECUTABLE,
			    "%s: its interpreter %s cannot be mapped: %s", program, path,
			    strerror(-result));
	return 0;
}

int sandbox_interpreter_check(const char *path)
{
	static struct sandbox_image image; /* too large for a stack */
	const char *why;
	int fd, result;

	if (!*path)
		return 0;
	fd = open_executable(path);
	if (fd < 0) /* with no descriptor left it is too early to say */
		return fd == -EMFILE || fd == -ENFILE ? 0 : fd;
	result = sandbox_image_read(fd, &image, &why) ? -ELIBBAD : 0;
	close(fd);
	return result;
}

uint64_t sandbox_stack_bytes(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return DEFAULT_STACK_BYTES;
	if (limit.rlim_cur < DEFAULT_STACK_BYTES / 8)
		return DEFAULT_STACK_BYTES / 8;
	if (limit.rlim_cur > MAX_STACK_BYTES)
		return MAX_STACK_BYTES;
	return limit.rlim_cur & -SANDBOX_PAGE_BYTES;
}

static int make_arenas(struct sandbox_memory *memory, const struct sandbox_image *image,
		       const char *path)
{
	int result = image->fixed ? make_fixed_arena(memory, image) : 0;

	if (result)
		return fail(SANDBOX_EXIT_NOT_EXECUTABLE,
			    "%s: its addresses %#lx-%#lx cannot be used: %s", path,
			    (unsigned long)image->low, (unsigned long)image->high,
			    strerror(-result));
	result = make_main_arena(memory);
	if (result)
		return fail(SANDBOX_EXIT_FAILED, "no address space for the program: %s",
			    strerror(-result));
	if (!runtime_is_apart(memory))
		return fail(SANDBOX_EXIT_FAILED, "the sandbox itself lies in the program's memory");
	return 0;
}

static int load(struct sandbox_program *program, struct sandbox_memory *memory,
		const struct sandbox_image *image, int fd, char *const *argv, char *const *envp)
{
	static struct sandbox_image interpreter;
	uint64_t bias = 0, base = 0;
	struct sandbox_stack stack;
	int result = make_arenas(memory, image, program->path);

	if (result)
		return result;
	result = image->fixed ? map_segments(memory, image, fd, 0)
			      : map_movable(memory, image, fd, sandbox_layout_place_image, &bias);
	if (!result)
		result = sandbox_layout_make_stack(
			memory, sandbox_stack_bytes(),
			PROT_READ | PROT_WRITE | (image->executable_stack ? PROT_EXEC : 0));
	if (result)
		return fail(SANDBOX_EXIT_NOT_EXECUTABLE, "%s cannot be mapped: %s", program->path,
			    strerror(-result));
	sandbox_layout_set_brk(memory, bias + image->high);
	program->entry = bias + image->entry;
	if (image->interpreter[0]) {
		result = load_interpreter(memory, program->path, image->interpreter, &interpreter,
					  &base);
		if (result)
			return result;
		program->entry = base + interpreter.entry;
	}

	stack = (struct sandbox_stack){
		.low = memory->stack_low,
		.high = memory->stack_high,
		.argv = argv,
		.envp = envp,
		.path = program->path,
		.entry = bias + image->entry,
		.headers = image->headers ? bias + image->headers : 0,
		.nr_headers = image->nr_headers,
		.base = base,
	};
	if (getrandom(stack.random, sizeof(stack.random), 0) != sizeof(stack.random))
		return fail(SANDBOX_EXIT_FAILED, "no random bytes: %s", strerror(errno));
	result = sandbox_stack_build(&stack, &program->stack);
	if (result)
		return fail(SANDBOX_EXIT_NOT_EXECUTABLE, "%s: %s", program->path,
			    strerror(-result));
	return 0;
}

int sandbox_program_load(struct sandbox_program *program, struct sandbox_memory *memory, int fd,
			 char *const *argv, char *const *envp)
{
	static struct sandbox_image image; /* too large for a stack */
	const char *why;
	int result;

	if (sandbox_image_read(fd, &image, &why))
		result = fail(SANDBOX_EXIT_NOT_EXECUTABLE, "%s %s", program->path, why);
	else
		result = load(program, memory, &image, fd, argv, envp);
	program->fd = fd;
	return result;
}
