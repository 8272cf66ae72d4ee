// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#define WNOHANG 1
#define WUNTRACED 2
#define WEXITSTATUS(status) (((status) >> 8) & 255)
#define WTERMSIG(status) ((status)&127)
#define WSTOPSIG(status) WEXITSTATUS(status)
#define WIFEXITED(status) (!WTERMSIG(status))
#define WIFSTOPPED(status) (((status)&255) == 127)
#define WIFSIGNALED(status) (WTERMSIG(status) && WTERMSIG(status) != 127)

pid_t wait(int *status);
pid_t waitpid(pid_t pid, int *status, int options);
