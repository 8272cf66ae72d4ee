// SPDX-License-Identifier: Apache-2.0
//
// Reading and writing.
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <optional>

#include "wasi/functions.h"
#include "wasi/wait.h"

namespace wasmrt::wasi {
namespace {

/// Vectors that one call looks at, as Linux has it; the rest is left to the
/// next call of the guest, which hears how many bytes were moved.
constexpr uint32_t kMaxVectors = 1024;
/// As many as most calls have at most. A frame with room for more lies in other pages of the
/// stack than the rest of a run.
constexpr uint32_t kFewVectors = 8;

/// Bytes that one call moves, so that no call takes long: of regular files,
/// and of everything whose speed is not known (devices, FIFOs, the error log).
constexpr uint64_t kMaxFileBytes = uint64_t{64} << 20;
constexpr uint64_t kMaxOtherBytes = uint64_t{1} << 20;
/// What Linux moves at most; fits into the guest's size.
constexpr uint64_t kMaxStreamBytes = 0x7ffff000;

/// A guest's vectors, each checked against the end of its memory.
template <uint32_t kMost>
class Vectors {
 public:
  /// @param limit  bytes; what is past it is cut off.
  Errno load(GuestMemory memory, GuestPtr iovs, GuestSize count, uint64_t limit) {
    if (!memory.contains(iovs, uint64_t{count} * sizeof(Iovec))) return Errno::kFault;
    count = std::min(count, kMost);
    for (GuestSize i = 0; i < count; ++i) {
      Iovec vector;
      (void)memory.load(iovs + i * static_cast<GuestPtr>(sizeof(Iovec)), vector);
      const auto bytes = memory.bytes(vector.buf, vector.buf_len);
      if (!bytes) return Errno::kFault;
      const uint64_t length = std::min<uint64_t>(bytes->size(), limit);
      if (length == 0) continue;
      limit -= length;
      vectors_[count_++] = {.iov_base = bytes->data(), .iov_len = length};
    }
    return Errno::kSuccess;
  }

  [[nodiscard]] std::span<const iovec> all() const { return {vectors_.data(), count_}; }

 private:
  uint32_t count_ = 0;
  std::array<iovec, kMost> vectors_;
};

std::span<uint8_t> bytes_of(const iovec& vector) {
  return {static_cast<uint8_t*>(vector.iov_base), vector.iov_len};
}

/// A write to a FIFO without readers must not end the server.
class SigpipeBlocked {
 public:
  SigpipeBlocked() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~SigpipeBlocked() {
    const int error = errno;
    const timespec none = {};
    if (!was_pending_) sigtimedwait(&sigpipe_, nullptr, &none);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;

 private:
  sigset_t sigpipe_;
  sigset_t before_;
  bool was_pending_;
};

/// Calls `move` until it does not want to wait, or the guest does not.
template <typename Move>
Errno move_bytes(Context& context, const Descriptor& file, short events, Move move,
                 uint32_t& moved) {
  while (true) {
    const ssize_t count = move();
    if (count >= 0) {
      moved = static_cast<uint32_t>(count);
      return Errno::kSuccess;
    }
    if (errno == EAGAIN) {
      if ((file.flags & fdflags::kNonblock) != 0) return Errno::kAgain;
      const Errno waited = wait_until_ready(context, file.fd.get(), events);
      if (waited != Errno::kSuccess) return waited;
    } else if (errno != EINTR) {
      return errno_from_host(errno);
    }
    if (!may_go_on(context)) return Errno::kCanceled;
  }
}

uint64_t limit_of(const Descriptor& descriptor) {
  if (descriptor.is_stream()) return descriptor.stream == 2 ? kMaxOtherBytes : kMaxStreamBytes;
  return descriptor.type == FileType::kRegularFile ? kMaxFileBytes : kMaxOtherBytes;
}

Errno read_stream(Context& context, const Descriptor& stream, std::span<const iovec> vectors,
                  uint32_t& moved) {
  if (stream.stream != 0) return Errno::kBadf;
  moved = 0;
  if (vectors.empty()) return Errno::kSuccess;
  // One buffer: filling a second one could block though there is something.
  const StreamResult result = context.host().read_stdin(bytes_of(vectors[0]));
  moved = static_cast<uint32_t>(result.bytes);
  return accept(context, result);
}

Errno write_stream(Context& context, const Descriptor& stream, std::span<const iovec> vectors,
                   uint32_t& moved) {
  if (stream.stream == 0) return Errno::kBadf;
  moved = 0;
  for (const iovec& vector : vectors) {
    const StreamResult result = stream.stream == 1 ? context.host().write_stdout(bytes_of(vector))
                                                   : context.host().write_stderr(bytes_of(vector));
    const Errno accepted = accept(context, result);
    // What was written before an error counts; the error comes again.
    if (accepted != Errno::kSuccess) return moved > 0 ? Errno::kSuccess : accepted;
    moved += static_cast<uint32_t>(result.bytes);
  }
  return Errno::kSuccess;
}

/// Both reading functions; without an offset at the file's position.
template <uint32_t kMostVectors>
[[gnu::noinline]] Errno read_into(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs,
                                  GuestSize count, std::optional<uint64_t> offset,
                                  GuestPtr bytes_read) {
  Descriptor* descriptor = context.fds().find(fd);
  if (descriptor == nullptr || descriptor->is_directory()) return Errno::kBadf;
  if (!memory.contains(bytes_read, sizeof(uint32_t))) return Errno::kFault;
  if (offset && descriptor->is_stream()) return Errno::kSpipe;
  if (offset > static_cast<uint64_t>(std::numeric_limits<off_t>::max())) return Errno::kInval;
  Vectors<kMostVectors> vectors;
  if (const Errno result = vectors.load(memory, iovs, count, limit_of(*descriptor));
      result != Errno::kSuccess) {
    return result;
  }
  uint32_t moved = 0;
  Errno result;
  if (descriptor->is_stream()) {
    result = read_stream(context, *descriptor, vectors.all(), moved);
  } else {
    const int file = descriptor->fd.get();
    const auto all = vectors.all();
    const int all_count = static_cast<int>(all.size());
    context.host().lend_memory();
    result = move_bytes(
        context, *descriptor, POLLIN,
        [&] {
          return offset ? preadv(file, all.data(), all_count, static_cast<off_t>(*offset))
                        : readv(file, all.data(), all_count);
        },
        moved);
  }
  if (result == Errno::kSuccess) (void)memory.store(bytes_read, moved);
  return result;
}

template <uint32_t kMostVectors>
[[gnu::noinline]] Errno write_from(Context& context, GuestMemory memory, uint32_t fd,
                                   GuestPtr iovs, GuestSize count, std::optional<uint64_t> offset,
                                   GuestPtr bytes_written) {
  Descriptor* descriptor = context.fds().find(fd);
  if (descriptor == nullptr || descriptor->is_directory()) return Errno::kBadf;
  if (!memory.contains(bytes_written, sizeof(uint32_t))) return Errno::kFault;
  if (offset && descriptor->is_stream()) return Errno::kSpipe;
  if (descriptor->is_file() && !descriptor->writable) return Errno::kBadf;
  if (offset > static_cast<uint64_t>(std::numeric_limits<off_t>::max())) return Errno::kInval;
  Vectors<kMostVectors> vectors;
  if (const Errno result = vectors.load(memory, iovs, count, limit_of(*descriptor));
      result != Errno::kSuccess) {
    return result;
  }
  uint32_t moved = 0;
  Errno result;
  if (descriptor->is_stream()) {
    result = write_stream(context, *descriptor, vectors.all(), moved);
  } else {
    const int file = descriptor->fd.get();
    const auto all = vectors.all();
    const int all_count = static_cast<int>(all.size());
    const auto move = [&] {
      return offset ? pwritev(file, all.data(), all_count, static_cast<off_t>(*offset))
                    : writev(file, all.data(), all_count);
    };
    if (descriptor->type == FileType::kRegularFile) {
      result = move_bytes(context, *descriptor, POLLOUT, move, moved);
    } else {
      const SigpipeBlocked blocked;
      result = move_bytes(context, *descriptor, POLLOUT, move, moved);
    }
  }
  if (result == Errno::kSuccess) (void)memory.store(bytes_written, moved);
  return result;
}

Errno read(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
           std::optional<uint64_t> offset, GuestPtr bytes_read) {
  return (count <= kFewVectors ? read_into<kFewVectors> : read_into<kMaxVectors>)(
      context, memory, fd, iovs, count, offset, bytes_read);
}

Errno write(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
            std::optional<uint64_t> offset, GuestPtr bytes_written) {
  return (count <= kFewVectors ? write_from<kFewVectors> : write_from<kMaxVectors>)(
      context, memory, fd, iovs, count, offset, bytes_written);
}

}  // namespace

Errno fd_read(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
              GuestPtr bytes_read) noexcept {
  return read(context, memory, fd, iovs, count, std::nullopt, bytes_read);
}

Errno fd_pread(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
               uint64_t offset, GuestPtr bytes_read) noexcept {
  return read(context, memory, fd, iovs, count, offset, bytes_read);
}

Errno fd_write(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
               GuestPtr bytes_written) noexcept {
  return write(context, memory, fd, iovs, count, std::nullopt, bytes_written);
}

Errno fd_pwrite(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
                uint64_t offset, GuestPtr bytes_written) noexcept {
  return write(context, memory, fd, iovs, count, offset, bytes_written);
}

}  // namespace wasmrt::wasi
