// SPDX-License-Identifier: Apache-2.0
//
// Processes, users, signals, the system log: what a guest has not.
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>

enum { kUser = 1000 };

static int unsupported(void) {
  errno = ENOSYS;
  return -1;
}

pid_t fork(void) { return unsupported(); }
pid_t vfork(void) { return unsupported(); }
int execv(const char *path, char *const *arguments) { return unsupported(); }
int execvp(const char *file, char *const *arguments) { return unsupported(); }
int execl(const char *path, const char *argument, ...) { return unsupported(); }
int execle(const char *path, const char *argument, ...) { return unsupported(); }
pid_t wait(int *status) { return unsupported(); }
pid_t waitpid(pid_t pid, int *status, int options) { return unsupported(); }
int pclose(FILE *stream) { return unsupported(); }
int system(const char *command) { return unsupported(); }
int kill(pid_t pid, int signal) { return unsupported(); }
int nice(int increment) { return unsupported(); }
pid_t setsid(void) { return unsupported(); }
int setpgid(pid_t pid, pid_t group) { return unsupported(); }
int getloadavg(double *averages, int count) { return unsupported(); }

FILE *popen(const char *command, const char *mode) {
  unsupported();
  return NULL;
}

pid_t getppid(void) { return 1; }
pid_t getpgrp(void) { return getpid(); }
uid_t getuid(void) { return kUser; }
uid_t geteuid(void) { return kUser; }
gid_t getgid(void) { return kUser; }
gid_t getegid(void) { return kUser; }

int setuid(uid_t user) {
  if (user == kUser) return 0;
  errno = EPERM;
  return -1;
}

int setgid(gid_t group) { return setuid(group); }

int getgroups(int count, gid_t *groups) {
  if (count > 0) groups[0] = kUser;
  return 1;
}

char *ttyname(int fd) {
  errno = ENOTTY;
  return NULL;
}

struct passwd *getpwnam(const char *name) { return NULL; }
struct passwd *getpwuid(uid_t uid) { return NULL; }
struct group *getgrnam(const char *name) { return NULL; }
struct group *getgrgid(gid_t gid) { return NULL; }
int initgroups(const char *user, gid_t gid) { return unsupported(); }

int gethostname(char *name, size_t size) {
  snprintf(name, size, "localhost");
  return 0;
}

unsigned alarm(unsigned seconds) { return 0; }

int sigaction(int signal, const struct sigaction *action, struct sigaction *old) {
  if (old) memset(old, 0, sizeof *old);
  return 0;
}

int sigemptyset(sigset_t *set) { return 0; }
int sigfillset(sigset_t *set) { return 0; }
int sigaddset(sigset_t *set, int signal) { return 0; }
int sigdelset(sigset_t *set, int signal) { return 0; }
int sigprocmask(int how, const sigset_t *set, sigset_t *old) { return 0; }
int sigsuspend(const sigset_t *set) { return unsupported(); }

// wasi-libc knows UTC only.
void tzset(void) {}

// The system's log is the server's error log, in which a line keeps its priority. So is what
// LOG_PERROR asks for besides.
static char log_name[32];
static int log_options;

void openlog(const char *name, int options, int facility) {
  snprintf(log_name, sizeof log_name, "%s", name ? name : "");
  log_options = options;
}

void closelog(void) {
  log_name[0] = 0;
  log_options = 0;
}

static void write_log(const char *format, va_list arguments) {
  if (log_name[0] != 0) fprintf(stderr, "%s: ", log_name);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
}

void syslog(int priority, const char *format, ...) {
  static const char *const kPriorities[] = {"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"};
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  fprintf(stderr, "syslog %s: ", kPriorities[priority & LOG_DEBUG]);
  write_log(format, arguments);
  if ((log_options & LOG_PERROR) != 0) write_log(format, again);
  va_end(again);
  va_end(arguments);
}
