// SPDX-License-Identifier: Apache-2.0
//
// Sockets and names: preview 1 has none.
#include <errno.h>
#include <netdb.h>
#include <stddef.h>

static int unsupported(void) {
  errno = ENOSYS;
  return -1;
}

int socket(int domain, int type, int protocol) { return unsupported(); }
int socketpair(int domain, int type, int protocol, int *fds) { return unsupported(); }
int connect(int fd, const struct sockaddr *address, socklen_t length) { return unsupported(); }
int bind(int fd, const struct sockaddr *address, socklen_t length) { return unsupported(); }
int listen(int fd, int backlog) { return unsupported(); }
int getpeername(int fd, struct sockaddr *address, socklen_t *length) { return unsupported(); }
int getsockname(int fd, struct sockaddr *address, socklen_t *length) { return unsupported(); }

int setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
  return unsupported();
}

ssize_t recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *address,
                 socklen_t *length) {
  return unsupported();
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *address,
               socklen_t length) {
  return unsupported();
}

int h_errno = NO_RECOVERY;
static const char kNoResolver[] = "names cannot be resolved here";

const char *hstrerror(int error) { return kNoResolver; }
const char *gai_strerror(int error) { return kNoResolver; }

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *list) {}

int getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size,
                char *service, socklen_t service_size, int flags) {
  return EAI_FAIL;
}

struct hostent *gethostbyname(const char *name) { return NULL; }
struct hostent *gethostbyaddr(const void *address, socklen_t length, int type) { return NULL; }
struct servent *getservbyname(const char *name, const char *protocol) { return NULL; }
struct servent *getservbyport(int port, const char *protocol) { return NULL; }
struct protoent *getprotobyname(const char *name) { return NULL; }
struct protoent *getprotobynumber(int number) { return NULL; }
