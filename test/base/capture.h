/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests: what a function writes to stderr, and how the process that ran it ended.
 */
#ifndef LASH_TEST_BASE_CAPTURE_H
#define LASH_TEST_BASE_CAPTURE_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Run `function` in a child process; its stderr goes to `text`, terminated. Returns the child's wait status. */
static inline int capture_stderr(void (*function)(void), char *text, size_t size) {
    int pipes[2];
    if (pipe(pipes) != 0)
        abort();
    pid_t child = fork();
    if (child < 0)
        abort();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        function();
        _exit(0);
    }
    close(pipes[1]);
    size_t used = 0;
    ssize_t got = 1;
    while (used + 1 < size && (got = read(pipes[0], text + used, size - 1 - used)) > 0)
        used += (size_t)got;
    text[used] = '\0';
    close(pipes[0]);
    int status = 0;
    if (waitpid(child, &status, 0) != child)
        abort();
    return status;
}

#endif
