/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the sandbox that follows an execve() finds its libraries: ld.so of that one starts in the
 * program's working directory, and must not take what lies there.
 */
#ifndef SANDBOX_LIBRARIES_H
#define SANDBOX_LIBRARIES_H

/*
 * A setting of LD_LIBRARY_PATH that finds the libraries of this process again, by absolute names
 * only; NULL if it was found without one, or there is no memory. The caller frees it.
 * To be asked for before there is a program that could change anything.
 */
char *sandbox_libraries_path(void);

#endif
