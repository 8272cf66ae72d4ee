// SPDX-License-Identifier: Apache-2.0
//
// File locks, which preview 1 lacks.
#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "wasi/functions.h"
#include "wasi/wait.h"

namespace wasmrt::wasi {
namespace {

constexpr auto kMaxOffset = static_cast<uint64_t>(std::numeric_limits<off_t>::max());
constexpr uint32_t kUnlock = 0;
constexpr uint32_t kShared = 1;
constexpr uint32_t kExclusive = 2;
constexpr uint32_t kTest = 4;

// Locks are held for microseconds or for a request: look again soon, then less often.
constexpr int64_t kFirstPauseNs = 100'000;
constexpr int64_t kLongestPauseNs = 10'000'000;

Errno from_result(int result) {
  if (result == 0) return Errno::kSuccess;
  return errno == EACCES || errno == EWOULDBLOCK ? Errno::kAgain : errno_from_host(errno);
}

Errno lock_file(int fd, uint32_t kind) {
  const int operation = kind == kUnlock ? LOCK_UN : kind == kShared ? LOCK_SH : LOCK_EX;
  return from_result(flock(fd, operation | LOCK_NB));
}

Errno lock_range(int fd, uint32_t kind, uint64_t start, uint64_t length) {
  struct flock range {};
  range.l_type = kind == kUnlock ? F_UNLCK : (kind & ~kTest) == kShared ? F_RDLCK : F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(start);
  range.l_len = static_cast<off_t>(length);
  if ((kind & kTest) == 0) return from_result(fcntl(fd, F_OFD_SETLK, &range));
  const Errno result = from_result(fcntl(fd, F_OFD_GETLK, &range));
  if (result != Errno::kSuccess) return result;
  return range.l_type == F_UNLCK ? Errno::kSuccess : Errno::kAgain;
}

}  // namespace

Errno fd_lock(Context& context, GuestMemory /*memory*/, uint32_t fd, uint32_t kind, uint64_t start,
              uint64_t length, uint32_t wait) noexcept {
  const Descriptor* file = context.fds().find(fd);
  if (file == nullptr || !file->is_file()) return Errno::kBadf;
  const bool whole = static_cast<int64_t>(length) < 0;
  const bool test = (kind & kTest) != 0;
  if ((kind & ~kTest) > kExclusive || kind == kTest || (whole && test)) return Errno::kInval;
  if (!whole && (start > kMaxOffset || length > kMaxOffset - start)) return Errno::kInval;
  // Whoever may only read shall not keep writers out for longer than a reader does.
  if (kind == kExclusive && file->read_only) return Errno::kNotcapable;

  const auto attempt = [&] {
    return whole ? lock_file(file->fd.get(), kind) : lock_range(file->fd.get(), kind, start, length);
  };
  Errno result = attempt();
  if (result != Errno::kAgain || wait == 0 || test) return result;
  if (const Errno flushed = accept(context, context.host().flush_stdout());
      flushed != Errno::kSuccess) {
    return flushed;
  }
  for (int64_t pause = kFirstPauseNs; result == Errno::kAgain;
       pause = std::min(pause * 2, kLongestPauseNs)) {
    wait_slice(context, {}, pause);
    if (!may_go_on(context)) return Errno::kCanceled;
    result = attempt();
  }
  return result;
}

}  // namespace wasmrt::wasi
