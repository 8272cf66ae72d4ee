// SPDX-License-Identifier: Apache-2.0
//
// What interpreters and their libraries expect of POSIX and wasi-libc leaves out. The
// compiler wrapper includes this in front of every source file. A function for
// which a guest has nothing to offer (processes, signals, sockets) fails with
// ENOSYS, unless its comment says otherwise.
#ifndef MOD_WASM_POSIX_H
#define MOD_WASM_POSIX_H
#ifndef __ASSEMBLER__

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

// Files. dup() knows the standard streams only, and gives the same number.
// Everything belongs to one user. Permissions are those of the host (see files.c), except that
// files become executable only where the host allows it.
int dup(int fd);
int dup2(int from, int to);
int pipe(int *fds);
int chown(const char *path, uid_t user, gid_t group);
int lchown(const char *path, uid_t user, gid_t group);
int fchown(int fd, uid_t user, gid_t group);
mode_t umask(mode_t mask);
int mkstemp(char *name);
char *mkdtemp(char *name);
char *mktemp(char *name);
FILE *tmpfile(void);
int chroot(const char *path);
int fchdir(int fd);
int getdtablesize(void);

// Finds a string of ASCII characters, given in lower case, in either case: NULL if it is
// nowhere. What PCRE's literals are looked up with.
const void *memcasemem(const void *data, size_t size, const void *lower, size_t length);

// Error numbers as Linux has them, and back: what scripts know. See errors.c.
int linux_errno(int error);
int errno_of_linux(int number);

// Locks: see locks.c.
#ifndef F_WRLCK
#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2
#endif
#ifndef F_SETLK
#define F_GETLK 5
#define F_SETLK 6
#define F_SETLKW 7
#endif
#ifndef F_DUPFD
#define F_DUPFD 0
#endif
int posix_fcntl(int fd, int command, ...);
#define fcntl posix_fcntl
int lockf(int fd, int command, off_t length);

// Processes and users. There is one process, and it belongs to user 1000.
pid_t fork(void);
pid_t vfork(void);
int execv(const char *path, char *const *arguments);
int execvp(const char *file, char *const *arguments);
int execl(const char *path, const char *argument, ...);
int execle(const char *path, const char *argument, ...);
FILE *popen(const char *command, const char *mode);
int pclose(FILE *stream);
int system(const char *command);
int kill(pid_t pid, int signal);
int nice(int increment);
pid_t getppid(void);
pid_t getpgrp(void);
pid_t setsid(void);
int setpgid(pid_t pid, pid_t group);
uid_t getuid(void);
uid_t geteuid(void);
gid_t getgid(void);
gid_t getegid(void);
int setuid(uid_t user);
int setgid(gid_t group);
int getgroups(int count, gid_t *groups);
char *ttyname(int fd);
int getloadavg(double *averages, int count);
void tzset(void);

// Signals: nothing is ever delivered, so setting a handler succeeds.
unsigned alarm(unsigned seconds);
#ifndef SA_RESTART
struct sigaction {
  void (*sa_handler)(int);
  sigset_t sa_mask;
  int sa_flags;
};
#define SA_ONSTACK 0x08000000
#define SA_RESTART 0x10000000
#define SA_NODEFER 0x40000000
#define SA_RESETHAND 0x80000000
#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
int sigaction(int signal, const struct sigaction *action, struct sigaction *old);
int sigemptyset(sigset_t *set);
int sigfillset(sigset_t *set);
int sigaddset(sigset_t *set, int signal);
int sigdelset(sigset_t *set, int signal);
int sigprocmask(int how, const sigset_t *set, sigset_t *old);
int sigsuspend(const sigset_t *set);
#endif
#define sigjmp_buf jmp_buf
#define sigsetjmp(buffer, save) setjmp(buffer)
#define siglongjmp longjmp

// Sockets.
#ifndef POLLPRI
#define POLLPRI 0
#endif
#ifndef SO_RCVTIMEO
#define SO_RCVTIMEO 66
#define SO_SNDTIMEO 67
#endif
#ifndef SO_ERROR
#define SO_ERROR 4
#endif
#ifndef SOMAXCONN
#define SOMAXCONN 128
#endif
#ifndef SOL_IP
#define SOL_IP 0
#endif
#ifndef MSG_OOB
#define MSG_OOB 1
#endif
#ifndef AF_UNIX
#define AF_UNIX 3
#endif
#ifndef PF_UNIX
#define PF_UNIX AF_UNIX
#endif
int socket(int domain, int type, int protocol);
int socketpair(int domain, int type, int protocol, int *fds);
int connect(int fd, const struct sockaddr *address, socklen_t length);
int bind(int fd, const struct sockaddr *address, socklen_t length);
int listen(int fd, int backlog);
int getpeername(int fd, struct sockaddr *address, socklen_t *length);
int getsockname(int fd, struct sockaddr *address, socklen_t *length);
int setsockopt(int fd, int level, int option, const void *value, socklen_t length);
ssize_t recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *address, socklen_t *length);
ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *address,
               socklen_t length);

#ifndef P_tmpdir
#define P_tmpdir "/tmp"
#endif

// Bytes of WebAssembly's stack, and of it what is left, in memory.c. False if the host does not tell.
_Bool stack_space(size_t *size, size_t *left);

// Start images (start.c): wizer-initialize runs main() once with the first of
// these true; _start of an instance made from the image, with the second.
_Bool start_image_in_making(void);
_Bool start_image_in_use(void);
// Exits with a message if a descriptor other than the standard streams and the
// preopened directories is open: an image must not refer to one.
void start_image_check_descriptors(void);

#endif
#endif
