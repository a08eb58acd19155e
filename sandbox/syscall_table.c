// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of system calls: one row for each that ring 3 may make, with what each argument is and
 * what is done. What has no row is -ENOSYS. syscall.c checks by it, trace.c shows by it, and the
 * tests attack every pointer in it.
 *
 * DENY is for calls that programs probe for and for which -ENOSYS would be a lie or worse.
 */
#include "child.h"
#include "descriptor.h"
#include "file.h"
#include "memory.h"
#include "process.h"
#include "readiness.h"
#include "signals.h"
#include "socket.h"
#include "syscall.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <time.h>
#include <utime.h>

/* Rows. */
#define ALLOW(call, ...) \
	[SYS_##call] = { .name = #call, .action = ACTION_ALLOW, .arg = { __VA_ARGS__ } }
#define EMULATE(call, function, ...)                    \
	[SYS_##call] = { .name = #call,                 \
			 .action = ACTION_EMULATE,      \
			 .emulate = emulate_##function, \
			 .arg = { __VA_ARGS__ } }
#define ADDRESS_OF(call, function, ...)                 \
	[SYS_##call] = { .name = #call,                 \
			 .action = ACTION_EMULATE,      \
			 .shows_address = true,         \
			 .emulate = emulate_##function, \
			 .arg = { __VA_ARGS__ } }
#define LEAVE(call, function, ...)                      \
	[SYS_##call] = { .name = #call,                 \
			 .action = ACTION_EMULATE,      \
			 .does_not_return = true,       \
			 .emulate = emulate_##function, \
			 .arg = { __VA_ARGS__ } }
#define DENY(call, errno_value, ...)             \
	[SYS_##call] = { .name = #call,          \
			 .action = ACTION_DENY,  \
			 .error = (errno_value), \
			 .arg = { __VA_ARGS__ } }

/* clang-format off */
/* Arguments. Those that count others say so by the other one's number, 0 to 5. */
#define NONE			{ .kind = ARG_NONE }
#define LONG			{ .kind = ARG_LONG }
#define SIZE			{ .kind = ARG_LONG, .show = SHOW_UNSIGNED }
#define HEX			{ .kind = ARG_LONG, .show = SHOW_HEX }
#define INT			{ .kind = ARG_INT }
#define UINT			{ .kind = ARG_UINT }
#define MODE			{ .kind = ARG_UINT, .show = SHOW_OCTAL }
#define OPEN_MODE		{ .kind = ARG_UINT, .show = SHOW_OPEN_MODE }
#define SIGNAL			{ .kind = ARG_INT, .show = SHOW_SIGNAL }
#define FLAGS(name)		{ .kind = ARG_INT, .show = SHOW_SET, .set = &sandbox_set_##name }
#define FD			{ .kind = ARG_FD }
#define AT_FD			{ .kind = ARG_FD, .show = SHOW_AT_FD }
#define ADDRESS			{ .kind = ARG_ADDRESS }
#define PATH			{ .kind = ARG_STRING }
#define OPT_PATH		{ .kind = ARG_STRING, .optional = true }
#define OPT_SIGSET		OPT_IN(8, SHOW_SIGSET)
#define SOCKLEN			{ .kind = ARG_SIZE }
#define OPT_SOCKLEN		{ .kind = ARG_SIZE, .optional = true }

#define IN_ARRAY(size, n, s)	{ .kind = ARG_IN, .count = (n) + 1, .bytes = (size), .show = (s) }
#define OUT_ARRAY(size, n, s)	{ .kind = ARG_OUT, .count = (n) + 1, .bytes = (size), .show = (s) }
#define INOUT_ARRAY(size, n, s)	{ .kind = ARG_INOUT, .count = (n) + 1, .bytes = (size), .show = (s) }
#define OPT_IN_ARRAY(size, n, s) \
	{ .kind = ARG_IN, .count = (n) + 1, .bytes = (size), .show = (s), .optional = true }
#define IN_STRUCT(size, s)	{ .kind = ARG_IN, .bytes = (size), .show = (s) }
#define OUT_STRUCT(size, s)	{ .kind = ARG_OUT, .bytes = (size), .show = (s) }
#define INOUT_STRUCT(size, s)	{ .kind = ARG_INOUT, .bytes = (size), .show = (s) }
#define OPT_IN(size, s)		{ .kind = ARG_IN, .bytes = (size), .show = (s), .optional = true }
#define OPT_OUT(size, s)	{ .kind = ARG_OUT, .bytes = (size), .show = (s), .optional = true }
#define OPT_INOUT(size, s)	{ .kind = ARG_INOUT, .bytes = (size), .show = (s), .optional = true }
#define IN_IOVEC(n)		{ .kind = ARG_IN_IOVEC, .count = (n) + 1 }
#define OUT_IOVEC(n)		{ .kind = ARG_OUT_IOVEC, .count = (n) + 1 }
#define OUT_SIZED(n)		{ .kind = ARG_OUT_SIZED, .count = (n) + 1 }
#define OUT_SOCKADDR(n) \
	{ .kind = ARG_OUT_SIZED, .count = (n) + 1, .show = SHOW_SOCKADDR, .optional = true }

#define IN_DATA(n)		IN_ARRAY(1, n, SHOW_DATA)
#define OUT_DATA(n)		OUT_ARRAY(1, n, SHOW_DATA)
#define OUT_BYTES(n)		OUT_ARRAY(1, n, SHOW_KIND)
#define IN_SOCKADDR(n)		IN_ARRAY(1, n, SHOW_SOCKADDR)
#define OPT_IN_SOCKADDR(n)	OPT_IN_ARRAY(1, n, SHOW_SOCKADDR)
#define IN_TIMESPEC		IN_STRUCT(sizeof(struct timespec), SHOW_TIMESPEC)
#define OUT_TIMESPEC		OUT_STRUCT(sizeof(struct timespec), SHOW_TIMESPEC)
#define OPT_OUT_TIMESPEC	OPT_OUT(sizeof(struct timespec), SHOW_TIMESPEC)
#define OPT_INOUT_TIMESPEC	OPT_INOUT(sizeof(struct timespec), SHOW_TIMESPEC)
#define OPT_TIMES		OPT_IN(2 * sizeof(struct timespec), SHOW_KIND)
#define OUT_STAT		OUT_STRUCT(sizeof(struct stat), SHOW_STAT)
#define OUT_STATFS		OUT_STRUCT(sizeof(struct statfs), SHOW_KIND)
#define OUT_RUSAGE		OUT_STRUCT(sizeof(struct rusage), SHOW_KIND)
#define OPT_RUSAGE		OPT_OUT(sizeof(struct rusage), SHOW_KIND)
#define OPT_OFFSET		OPT_INOUT(sizeof(int64_t), SHOW_LONG_AT)
#define FD_PAIR			OUT_STRUCT(2 * sizeof(int), SHOW_INTS)
#define OPT_FD_SET		ADDRESS /* checked by emulate_: the size is a number of bits */
#define ITIMER			(2 * sizeof(struct timeval))
#define ITIMERSPEC		sizeof(struct itimerspec)
#define SIGINFO			sizeof(siginfo_t)
/* clang-format on */

static const struct sandbox_row table[] = {
	/* Files */
	ALLOW(read, FD, OUT_DATA(2), SIZE),
	ALLOW(write, FD, IN_DATA(2), SIZE),
	ALLOW(pread64, FD, OUT_DATA(2), SIZE, LONG),
	ALLOW(pwrite64, FD, IN_DATA(2), SIZE, LONG),
	ALLOW(readv, FD, OUT_IOVEC(2), SIZE),
	ALLOW(writev, FD, IN_IOVEC(2), SIZE),
	ALLOW(preadv, FD, OUT_IOVEC(2), SIZE, LONG, LONG),
	ALLOW(pwritev, FD, IN_IOVEC(2), SIZE, LONG, LONG),
	ALLOW(preadv2, FD, OUT_IOVEC(2), SIZE, LONG, LONG, INT),
	ALLOW(pwritev2, FD, IN_IOVEC(2), SIZE, LONG, LONG, INT),
	EMULATE(open, open, PATH, FLAGS(open), OPEN_MODE),
	EMULATE(openat, openat, AT_FD, PATH, FLAGS(open), OPEN_MODE),
	EMULATE(openat2, openat2, AT_FD, PATH, ADDRESS, SIZE),
	EMULATE(creat, creat, PATH, MODE),
	ALLOW(close, FD),
	EMULATE(close_range, close_range, UINT, UINT, UINT),
	ALLOW(lseek, FD, LONG, FLAGS(whence)),
	ALLOW(stat, PATH, OUT_STAT),
	ALLOW(lstat, PATH, OUT_STAT),
	ALLOW(fstat, FD, OUT_STAT),
	ALLOW(newfstatat, AT_FD, PATH, OUT_STAT, FLAGS(at)),
	ALLOW(statx, AT_FD, PATH, FLAGS(at), FLAGS(statx_mask),
	      OUT_STRUCT(sizeof(struct statx), SHOW_KIND)),
	ALLOW(statfs, PATH, OUT_STATFS),
	ALLOW(fstatfs, FD, OUT_STATFS),
	ALLOW(access, PATH, FLAGS(access)),
	ALLOW(faccessat, AT_FD, PATH, FLAGS(access)),
	ALLOW(faccessat2, AT_FD, PATH, FLAGS(access), FLAGS(at)),
	EMULATE(readlink, readlink, PATH, OUT_DATA(2), SIZE),
	EMULATE(readlinkat, readlinkat, AT_FD, PATH, OUT_DATA(3), SIZE),
	ALLOW(getdents, FD, OUT_BYTES(2), UINT),
	ALLOW(getdents64, FD, OUT_BYTES(2), UINT),
	ALLOW(getcwd, OUT_DATA(1), SIZE),
	ALLOW(chdir, PATH),
	ALLOW(fchdir, FD),
	ALLOW(umask, MODE),
	ALLOW(rename, PATH, PATH),
	ALLOW(renameat, AT_FD, PATH, AT_FD, PATH),
	ALLOW(renameat2, AT_FD, PATH, AT_FD, PATH, UINT),
	ALLOW(mkdir, PATH, MODE),
	ALLOW(mkdirat, AT_FD, PATH, MODE),
	ALLOW(rmdir, PATH),
	ALLOW(link, PATH, PATH),
	ALLOW(linkat, AT_FD, PATH, AT_FD, PATH, FLAGS(at)),
	ALLOW(unlink, PATH),
	ALLOW(unlinkat, AT_FD, PATH, FLAGS(at)),
	ALLOW(symlink, PATH, PATH),
	ALLOW(symlinkat, PATH, AT_FD, PATH),
	EMULATE(mknod, mknod, PATH, MODE, HEX),
	EMULATE(mknodat, mknodat, AT_FD, PATH, MODE, HEX),
	ALLOW(chmod, PATH, MODE),
	ALLOW(fchmod, FD, MODE),
	ALLOW(fchmodat, AT_FD, PATH, MODE),
	ALLOW(chown, PATH, INT, INT),
	ALLOW(fchown, FD, INT, INT),
	ALLOW(lchown, PATH, INT, INT),
	ALLOW(fchownat, AT_FD, PATH, INT, INT, FLAGS(at)),
	ALLOW(utime, PATH, OPT_IN(sizeof(struct utimbuf), SHOW_KIND)),
	ALLOW(utimes, PATH, OPT_TIMES),
	ALLOW(futimesat, AT_FD, OPT_PATH, OPT_TIMES),
	ALLOW(utimensat, AT_FD, OPT_PATH, OPT_TIMES, FLAGS(at)),
	ALLOW(truncate, PATH, LONG),
	ALLOW(ftruncate, FD, LONG),
	ALLOW(fallocate, FD, INT, LONG, LONG),
	ALLOW(fsync, FD),
	ALLOW(fdatasync, FD),
	ALLOW(sync),
	ALLOW(syncfs, FD),
	ALLOW(sync_file_range, FD, LONG, LONG, UINT),
	ALLOW(flock, FD, INT),
	ALLOW(fadvise64, FD, LONG, LONG, FLAGS(fadvise)),
	ALLOW(readahead, FD, LONG, SIZE),
	ALLOW(sendfile, FD, FD, OPT_OFFSET, SIZE),
	ALLOW(copy_file_range, FD, OPT_OFFSET, FD, OPT_OFFSET, SIZE, UINT),
	ALLOW(splice, FD, OPT_OFFSET, FD, OPT_OFFSET, SIZE, UINT),
	ALLOW(tee, FD, FD, SIZE, UINT),
	ALLOW(getxattr, PATH, PATH, OUT_BYTES(3), SIZE),
	ALLOW(lgetxattr, PATH, PATH, OUT_BYTES(3), SIZE),
	ALLOW(fgetxattr, FD, PATH, OUT_BYTES(3), SIZE),
	ALLOW(listxattr, PATH, OUT_DATA(2), SIZE),
	ALLOW(llistxattr, PATH, OUT_DATA(2), SIZE),
	ALLOW(flistxattr, FD, OUT_DATA(2), SIZE),
	ALLOW(setxattr, PATH, PATH, IN_DATA(3), SIZE, INT),
	ALLOW(lsetxattr, PATH, PATH, IN_DATA(3), SIZE, INT),
	ALLOW(fsetxattr, FD, PATH, IN_DATA(3), SIZE, INT),
	ALLOW(removexattr, PATH, PATH),
	ALLOW(lremovexattr, PATH, PATH),
	ALLOW(fremovexattr, FD, PATH),

	/* Descriptors */
	ALLOW(dup, FD),
	ALLOW(dup2, FD, FD),
	ALLOW(dup3, FD, FD, FLAGS(pipe)),
	ALLOW(pipe, FD_PAIR),
	ALLOW(pipe2, FD_PAIR, FLAGS(pipe)),
	EMULATE(fcntl, fcntl, FD, FLAGS(fcntl), HEX),
	EMULATE(ioctl, ioctl, FD, FLAGS(ioctl), ADDRESS),
	EMULATE(poll, poll, INOUT_ARRAY(sizeof(struct pollfd), 1, SHOW_POLL), UINT, INT),
	EMULATE(ppoll, ppoll, INOUT_ARRAY(sizeof(struct pollfd), 1, SHOW_POLL), UINT,
		OPT_INOUT_TIMESPEC, OPT_SIGSET, SIZE),
	EMULATE(select, select, INT, OPT_FD_SET, OPT_FD_SET, OPT_FD_SET,
		OPT_INOUT(sizeof(struct timeval), SHOW_TIMEVAL)),
	EMULATE(pselect6, pselect6, INT, OPT_FD_SET, OPT_FD_SET, OPT_FD_SET, OPT_INOUT_TIMESPEC,
		ADDRESS),
	ALLOW(epoll_create, INT),
	ALLOW(epoll_create1, INT),
	ALLOW(epoll_ctl, FD, INT, FD, OPT_IN(sizeof(struct epoll_event), SHOW_KIND)),
	ALLOW(epoll_wait, FD, OUT_ARRAY(sizeof(struct epoll_event), 2, SHOW_KIND), INT, INT),
	ALLOW(epoll_pwait, FD, OUT_ARRAY(sizeof(struct epoll_event), 2, SHOW_KIND), INT, INT,
	      OPT_SIGSET, SIZE),
	ALLOW(eventfd, UINT),
	ALLOW(eventfd2, UINT, INT),
	ALLOW(timerfd_create, FLAGS(clock), INT),
	ALLOW(timerfd_settime, FD, INT, IN_STRUCT(ITIMERSPEC, SHOW_KIND),
	      OPT_OUT(ITIMERSPEC, SHOW_KIND)),
	ALLOW(timerfd_gettime, FD, OUT_STRUCT(ITIMERSPEC, SHOW_KIND)),
	EMULATE(memfd_create, memfd_create, PATH, FLAGS(memfd)),

	/* Memory */
	ADDRESS_OF(mmap, mmap, ADDRESS, SIZE, FLAGS(prot), FLAGS(map), INT, HEX),
	ADDRESS_OF(mremap, mremap, ADDRESS, SIZE, SIZE, FLAGS(mremap), ADDRESS),
	ADDRESS_OF(brk, brk, ADDRESS),
	EMULATE(munmap, munmap, ADDRESS, SIZE),
	EMULATE(mprotect, mprotect, ADDRESS, SIZE, FLAGS(prot)),
	EMULATE(madvise, madvise, ADDRESS, SIZE, FLAGS(madvise)),
	EMULATE(msync, msync, ADDRESS, SIZE, FLAGS(msync)),
	EMULATE(mlock, mlock, ADDRESS, SIZE),
	EMULATE(munlock, mlock, ADDRESS, SIZE),
	EMULATE(mincore, mincore, ADDRESS, SIZE, ADDRESS),

	/* Sockets */
	EMULATE(socket, socket, FLAGS(socket_domain), FLAGS(socket_type), INT),
	EMULATE(socketpair, socket, FLAGS(socket_domain), FLAGS(socket_type), INT, FD_PAIR),
	ALLOW(connect, FD, IN_SOCKADDR(2), UINT),
	ALLOW(bind, FD, IN_SOCKADDR(2), UINT),
	ALLOW(listen, FD, INT),
	ALLOW(accept, FD, OUT_SOCKADDR(2), OPT_SOCKLEN),
	ALLOW(accept4, FD, OUT_SOCKADDR(2), OPT_SOCKLEN, INT),
	ALLOW(getsockname, FD, OUT_SOCKADDR(2), SOCKLEN),
	ALLOW(getpeername, FD, OUT_SOCKADDR(2), SOCKLEN),
	ALLOW(shutdown, FD, INT),
	ALLOW(sendto, FD, IN_DATA(2), SIZE, FLAGS(msg), OPT_IN_SOCKADDR(5), UINT),
	ALLOW(recvfrom, FD, OUT_DATA(2), SIZE, FLAGS(msg), OUT_SOCKADDR(5), OPT_SOCKLEN),
	EMULATE(sendmsg, sendmsg, FD, ADDRESS, FLAGS(msg)),
	EMULATE(recvmsg, recvmsg, FD, ADDRESS, FLAGS(msg)),
	EMULATE(sendmmsg, sendmmsg, FD, ADDRESS, UINT, FLAGS(msg)),
	EMULATE(recvmmsg, recvmmsg, FD, ADDRESS, UINT, FLAGS(msg), OPT_INOUT_TIMESPEC),
	EMULATE(setsockopt, sockopt, FD, FLAGS(socket_level), INT, IN_ARRAY(1, 4, SHOW_KIND), UINT),
	EMULATE(getsockopt, sockopt, FD, FLAGS(socket_level), INT, OUT_SIZED(4), SOCKLEN),

	/* The process */
	LEAVE(exit, exit, INT),
	LEAVE(exit_group, exit, INT),
	EMULATE(kill, kill, INT, SIGNAL),
	EMULATE(tkill, tkill, INT, SIGNAL),
	EMULATE(tgkill, tgkill, INT, INT, SIGNAL),
	EMULATE(rt_sigaction, rt_sigaction, SIGNAL,
		OPT_IN(sizeof(struct sandbox_sigaction), SHOW_SIGACTION),
		OPT_OUT(sizeof(struct sandbox_sigaction), SHOW_SIGACTION), SIZE),
	ALLOW(rt_sigprocmask, FLAGS(sigmask_how), OPT_SIGSET, OPT_OUT(8, SHOW_SIGSET), SIZE),
	ALLOW(rt_sigpending, OUT_BYTES(1), SIZE),
	ALLOW(rt_sigsuspend, IN_STRUCT(8, SHOW_SIGSET), SIZE),
	LEAVE(rt_sigreturn, rt_sigreturn),
	EMULATE(sigaltstack, sigaltstack, OPT_IN(sizeof(stack_t), SHOW_KIND),
		OPT_OUT(sizeof(stack_t), SHOW_KIND)),
	ALLOW(pause),
	EMULATE(clone, clone, FLAGS(clone), ADDRESS, ADDRESS, ADDRESS, ADDRESS),
	EMULATE(clone3, clone3, ADDRESS, SIZE),
	EMULATE(fork, fork),
	EMULATE(vfork, vfork),
	EMULATE(execve, execve, PATH, ADDRESS, ADDRESS),
	EMULATE(execveat, execveat, AT_FD, PATH, ADDRESS, ADDRESS, FLAGS(at)),
	ALLOW(wait4, INT, OPT_OUT(sizeof(int), SHOW_INTS), FLAGS(wait), OPT_RUSAGE),
	ALLOW(waitid, INT, INT, OPT_OUT(SIGINFO, SHOW_KIND), FLAGS(wait), OPT_RUSAGE),
	EMULATE(arch_prctl, arch_prctl, FLAGS(arch_prctl), ADDRESS),
	EMULATE(prctl, prctl, FLAGS(prctl), HEX, HEX, HEX, HEX),
	EMULATE(personality, personality, HEX),
	EMULATE(set_tid_address, set_tid_address, ADDRESS),
	EMULATE(set_robust_list, set_robust_list, ADDRESS, SIZE),
	DENY(rseq, ENOSYS, ADDRESS, UINT, INT, HEX),
	EMULATE(futex, futex, IN_STRUCT(sizeof(uint32_t), SHOW_KIND), FLAGS(futex), UINT, ADDRESS,
		ADDRESS, UINT),
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW(getppid),
	ALLOW(getuid),
	ALLOW(geteuid),
	ALLOW(getgid),
	ALLOW(getegid),
	ALLOW(getresuid, OUT_STRUCT(sizeof(uid_t), SHOW_INTS), OUT_STRUCT(sizeof(uid_t), SHOW_INTS),
	      OUT_STRUCT(sizeof(uid_t), SHOW_INTS)),
	ALLOW(getresgid, OUT_STRUCT(sizeof(gid_t), SHOW_INTS), OUT_STRUCT(sizeof(gid_t), SHOW_INTS),
	      OUT_STRUCT(sizeof(gid_t), SHOW_INTS)),
	ALLOW(getgroups, INT, OUT_ARRAY(sizeof(gid_t), 0, SHOW_INTS)),
	ALLOW(getpgrp),
	ALLOW(getpgid, INT),
	ALLOW(getsid, INT),
	ALLOW(capget, INOUT_STRUCT(sizeof(struct __user_cap_header_struct), SHOW_KIND),
	      OPT_OUT(2 * sizeof(struct __user_cap_data_struct), SHOW_KIND)),
	ALLOW(getrusage, FLAGS(rusage), OUT_RUSAGE),
	ALLOW(getrlimit, FLAGS(rlimit), OUT_STRUCT(sizeof(struct rlimit), SHOW_RLIMIT)),
	EMULATE(prlimit64, prlimit64, INT, FLAGS(rlimit),
		OPT_IN(sizeof(struct rlimit), SHOW_RLIMIT),
		OPT_OUT(sizeof(struct rlimit), SHOW_RLIMIT)),
	ALLOW(getpriority, INT, INT),
	ALLOW(sched_yield),
	EMULATE(sched_getaffinity, of_self, INT, UINT, OUT_BYTES(1)),
	EMULATE(sched_getparam, of_self, INT, OUT_STRUCT(sizeof(struct sched_param), SHOW_KIND)),
	EMULATE(sched_getscheduler, of_self, INT),
	ALLOW(sched_get_priority_max, INT),
	ALLOW(sched_get_priority_min, INT),
	ALLOW(getcpu, OPT_OUT(sizeof(int), SHOW_INTS), OPT_OUT(sizeof(int), SHOW_INTS), NONE),

	/* Time */
	EMULATE(clock_gettime, clock_gettime, FLAGS(clock), OUT_TIMESPEC),
	EMULATE(gettimeofday, gettimeofday, OPT_OUT(sizeof(struct timeval), SHOW_TIMEVAL),
		OPT_OUT(sizeof(struct timezone), SHOW_KIND)),
	EMULATE(time, time, OPT_OUT(sizeof(time_t), SHOW_LONG_AT)),
	ALLOW(clock_getres, FLAGS(clock), OPT_OUT_TIMESPEC),
	ALLOW(clock_nanosleep, FLAGS(clock), INT, IN_TIMESPEC, OPT_OUT_TIMESPEC),
	ALLOW(nanosleep, IN_TIMESPEC, OPT_OUT_TIMESPEC),
	ALLOW(times, OPT_OUT(sizeof(struct tms), SHOW_KIND)),
	ALLOW(alarm, UINT),
	ALLOW(getitimer, INT, OUT_STRUCT(ITIMER, SHOW_KIND)),
	ALLOW(setitimer, INT, OPT_IN(ITIMER, SHOW_KIND), OPT_OUT(ITIMER, SHOW_KIND)),

	/* The system */
	ALLOW(uname, OUT_STRUCT(sizeof(struct utsname), SHOW_UTSNAME)),
	ALLOW(sysinfo, OUT_STRUCT(sizeof(struct sysinfo), SHOW_KIND)),
	ALLOW(getrandom, OUT_DATA(1), SIZE, FLAGS(random)),
	ALLOW(membarrier, INT, UINT, INT),

	/* What programs ask for and never get */
	DENY(ptrace, EPERM, LONG, LONG, ADDRESS, ADDRESS),
	DENY(process_vm_readv, EPERM, INT, ADDRESS, SIZE, ADDRESS, SIZE, HEX),
	DENY(process_vm_writev, EPERM, INT, ADDRESS, SIZE, ADDRESS, SIZE, HEX),
	DENY(pidfd_getfd, EPERM, INT, INT, UINT),
	DENY(pidfd_send_signal, EPERM, INT, SIGNAL, ADDRESS, UINT),
	DENY(kcmp, EPERM, INT, INT, INT, HEX, HEX),
	DENY(move_pages, EPERM, INT, SIZE, ADDRESS, ADDRESS, ADDRESS, INT),
	DENY(migrate_pages, EPERM, INT, SIZE, ADDRESS, ADDRESS),
	DENY(process_madvise, EPERM, INT, ADDRESS, SIZE, INT, UINT),
	DENY(pkey_mprotect, EPERM, ADDRESS, SIZE, FLAGS(prot), INT),
	DENY(remap_file_pages, EPERM, ADDRESS, SIZE, FLAGS(prot), SIZE, FLAGS(map)),
	DENY(mbind, EPERM, ADDRESS, SIZE, HEX, ADDRESS, HEX, UINT),
	DENY(mlockall, EPERM, INT),
	DENY(userfaultfd, EPERM, INT),
	DENY(io_uring_setup, EPERM, UINT, ADDRESS),
	DENY(io_uring_enter, EPERM, UINT, UINT, UINT, UINT, ADDRESS, SIZE),
	DENY(io_uring_register, EPERM, UINT, UINT, ADDRESS, UINT),
	DENY(vmsplice, EPERM, INT, ADDRESS, SIZE, UINT),
	DENY(seccomp, EPERM, UINT, UINT, ADDRESS),
	DENY(setrlimit, EPERM, FLAGS(rlimit), ADDRESS),
	DENY(setpriority, EPERM, INT, INT, INT),
	DENY(sched_setscheduler, EPERM, INT, INT, ADDRESS),
	DENY(sched_setparam, EPERM, INT, ADDRESS),
	DENY(sched_setaffinity, EPERM, INT, SIZE, ADDRESS),
	DENY(rt_sigqueueinfo, EPERM, INT, SIGNAL, ADDRESS),
	DENY(rt_tgsigqueueinfo, EPERM, INT, INT, SIGNAL, ADDRESS),
	DENY(setsid, EPERM),
	DENY(setpgid, EPERM, INT, INT),
	DENY(setuid, EPERM, INT),
	DENY(setgid, EPERM, INT),
	DENY(setreuid, EPERM, INT, INT),
	DENY(setregid, EPERM, INT, INT),
	DENY(setresuid, EPERM, INT, INT, INT),
	DENY(setresgid, EPERM, INT, INT, INT),
	DENY(setgroups, EPERM, INT, ADDRESS),
	DENY(capset, EPERM, ADDRESS, ADDRESS),
	DENY(chroot, EPERM, ADDRESS),
	DENY(pivot_root, EPERM, ADDRESS, ADDRESS),
	DENY(mount, EPERM, ADDRESS, ADDRESS, ADDRESS, HEX, ADDRESS),
	DENY(umount2, EPERM, ADDRESS, INT),
	DENY(unshare, EPERM, FLAGS(clone)),
	DENY(setns, EPERM, INT, INT),
	DENY(iopl, EPERM, INT),
	DENY(ioperm, EPERM, HEX, HEX, INT),
	DENY(modify_ldt, EPERM, INT, ADDRESS, SIZE),
	DENY(bpf, EPERM, INT, ADDRESS, UINT),
	DENY(perf_event_open, EPERM, ADDRESS, INT, INT, INT, HEX),
	DENY(open_by_handle_at, EPERM, INT, ADDRESS, INT),
	DENY(name_to_handle_at, EPERM, INT, ADDRESS, ADDRESS, ADDRESS, INT),
};

unsigned sandbox_table_size(void)
{
	return sizeof(table) / sizeof(table[0]);
}

const struct sandbox_row *sandbox_table_row(uint64_t nr)
{
	const uint64_t size = sizeof(table) / sizeof(table[0]);
	uint64_t mask;

	if (nr >= size)
		return NULL;
	/*
	 * All ones if nr is below size, else zero, without a branch: a mispredicted one above cannot
	 * make the CPU read beyond the table (Spectre variant 1).
	 */
	__asm__ volatile("cmp %1, %2\n\tsbb %0, %0" : "=r"(mask) : "r"(size), "r"(nr) : "cc");
	nr &= mask;
	return table[nr].action == ACTION_UNKNOWN ? NULL : &table[nr];
}
