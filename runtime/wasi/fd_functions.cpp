// SPDX-License-Identifier: Apache-2.0
//
// Descriptors: their state, attributes and positions, and directories.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <utility>

#include "wasi/file_status.h"
#include "wasi/functions.h"
#include "wasi/wait.h"

namespace wasmrt::wasi {
namespace {

constexpr auto kMaxOffset = static_cast<uint64_t>(std::numeric_limits<off_t>::max());

/// What every directory lets its holder do; guests compute from these what to
/// ask for when they open something in it.
constexpr uint64_t kDirectoryRights =
    rights::kPathCreateDirectory | rights::kPathCreateFile | rights::kPathLinkSource |
    rights::kPathLinkTarget | rights::kPathOpen | rights::kFdReaddir | rights::kPathReadlink |
    rights::kPathRenameSource | rights::kPathRenameTarget | rights::kPathSymlink |
    rights::kPathRemoveDirectory | rights::kPathUnlinkFile | rights::kPathFilestatGet |
    rights::kPathFilestatSetTimes | rights::kFdFilestatGet | rights::kFdFilestatSetTimes;
constexpr uint64_t kInheritedRights =
    kDirectoryRights | rights::kFdDatasync | rights::kFdRead | rights::kFdSeek |
    rights::kFdFdstatSetFlags | rights::kFdSync | rights::kFdTell | rights::kFdWrite |
    rights::kFdAdvise | rights::kFdAllocate | rights::kFdFilestatSetSize | rights::kPollFdReadwrite;

Errno from_result(int result) { return result == 0 ? Errno::kSuccess : errno_from_host(errno); }

/// The file at a number; kBadf for everything else.
Errno find_file(Context& context, uint32_t fd, Descriptor*& file) {
  file = context.fds().find(fd);
  return file != nullptr && file->is_file() ? Errno::kSuccess : Errno::kBadf;
}

/// A file that can be sought; kSpipe for streams.
Errno find_seekable(Context& context, uint32_t fd, Descriptor*& file) {
  const Errno result = find_file(context, fd, file);
  return file != nullptr && file->is_stream() ? Errno::kSpipe : result;
}

/// A terminal is a character device, all other streams are of unknown type.
FileType stream_type(Context& context, const Descriptor& stream) {
  const int fd = context.host().stream_info(stream.stream).descriptor;
  return fd >= 0 && isatty(fd) == 1 ? FileType::kCharacterDevice : FileType::kUnknown;
}

Errno seek(Context& context, GuestMemory memory, uint32_t fd, int64_t offset, int whence,
           GuestPtr position) {
  Descriptor* file;
  if (const Errno result = find_seekable(context, fd, file); result != Errno::kSuccess) {
    return result;
  }
  if (!memory.contains(position, sizeof(uint64_t))) return Errno::kFault;
  const off_t reached = lseek(file->fd.get(), offset, whence);
  if (reached < 0) return errno_from_host(errno);
  (void)memory.store(position, static_cast<uint64_t>(reached));
  return Errno::kSuccess;
}

/// The status of a file or directory; a stream has nothing but a type.
Errno stat_descriptor(Context& context, uint32_t fd, Descriptor*& descriptor, struct stat& status) {
  status = {};
  descriptor = context.fds().find(fd);
  if (descriptor == nullptr) return Errno::kBadf;
  if (descriptor->is_stream()) {
    if (stream_type(context, *descriptor) == FileType::kCharacterDevice) status.st_mode = S_IFCHR;
    return Errno::kSuccess;
  }
  if (descriptor->is_directory()) {
    if (const Errno result = context.fds().directory(fd, descriptor); result != Errno::kSuccess) {
      return result;
    }
  }
  return from_result(fstat(descriptor->fd.get(), &status));
}

Errno filestat_of(Context& context, uint32_t fd, Filestat& filestat) {
  Descriptor* descriptor;
  struct stat status;
  const Errno result = stat_descriptor(context, fd, descriptor, status);
  if (result == Errno::kSuccess) filestat = wasi::filestat_of(status);
  return result;
}

/// Both functions that write to disk: of the streams only standard output
/// holds anything back.
Errno sync(Context& context, uint32_t fd, int (*how)(int)) {
  Descriptor* descriptor = context.fds().find(fd);
  if (descriptor != nullptr && descriptor->is_stream() && descriptor->stream == 1) {
    return accept(context, context.host().flush_stdout());
  }
  Descriptor* file;
  if (const Errno result = find_file(context, fd, file); result != Errno::kSuccess) return result;
  return from_result(how(file->fd.get()));
}

/// A guest's buffer that takes directory entries until it is full.
class EntryBuffer {
 public:
  explicit EntryBuffer(std::span<uint8_t> buffer) : buffer_(buffer) {}

  /// @return whether the whole entry fitted; a part of it is stored else.
  bool append(uint64_t next, uint64_t inode, FileType type, const char* name, size_t length) {
    const Dirent dirent = {
        .d_next = next, .d_ino = inode, .d_namlen = static_cast<uint32_t>(length), .d_type = type};
    return append(&dirent, sizeof(dirent)) && append(name, length);
  }
  [[nodiscard]] uint32_t used() const { return static_cast<uint32_t>(used_); }
  [[nodiscard]] bool full() const { return used_ == buffer_.size(); }

 private:
  bool append(const void* bytes, size_t length) {
    const size_t fits = std::min(length, buffer_.size() - used_);
    std::memcpy(buffer_.data() + used_, bytes, fits);
    used_ += fits;
    return fits == length;
  }

  std::span<uint8_t> buffer_;
  size_t used_ = 0;
};

Errno read_directory(Context& context, Descriptor& directory, uint64_t cookie,
                     EntryBuffer& buffer) {
  if (cookie < DirectoryStream::kStart) {
    // The parent is not the guest's to know: both are the directory itself.
    struct stat status;
    if (fstat(directory.fd.get(), &status) != 0) return errno_from_host(errno);
    for (; cookie < DirectoryStream::kStart; ++cookie) {
      if (!buffer.append(cookie + 1, status.st_ino, FileType::kDirectory, "..", cookie + 1)) {
        return Errno::kSuccess;
      }
    }
  }
  if (directory.entries == nullptr) {
    if (directory.preopen != nullptr) {
      // A preopen's descriptor is only a place (O_PATH) until now.
      UniqueFd readable(openat(directory.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!readable.valid()) return errno_from_host(errno);
      directory.fd = std::move(readable);
    }
    directory.entries.reset(new (std::nothrow) DirectoryStream(directory.fd.get()));
    if (directory.entries == nullptr) return Errno::kNomem;
  }
  DirectoryStream& entries = *directory.entries;
  Errno result = entries.seek(cookie);
  for (uint32_t count = 1; result == Errno::kSuccess && !buffer.full(); ++count) {
    DirectoryStream::Entry entry;
    bool at_end;
    result = entries.peek(entry, at_end);
    if (result != Errno::kSuccess || at_end ||
        !buffer.append(entry.next, entry.inode, entry.type, entry.name, entry.name_length)) {
      break;
    }
    entries.advance();
    constexpr uint32_t kEntriesBetweenChecks = 4096;
    if (count % kEntriesBetweenChecks == 0 && !may_go_on(context)) return Errno::kCanceled;
  }
  return result;
}

}  // namespace

Errno fd_advise(Context& context, GuestMemory /*memory*/, uint32_t fd, uint64_t offset,
                uint64_t len, uint32_t advice) noexcept {
  static constexpr std::array kAdvice = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL,
                                         POSIX_FADV_RANDOM,   POSIX_FADV_WILLNEED,
                                         POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE};
  Descriptor* file;
  if (const Errno result = find_file(context, fd, file); result != Errno::kSuccess) return result;
  if (advice >= kAdvice.size() || offset > kMaxOffset || len > kMaxOffset) return Errno::kInval;
  return errno_from_host(posix_fadvise(file->fd.get(), static_cast<off_t>(offset),
                                       static_cast<off_t>(len), kAdvice[advice]));
}

Errno fd_allocate(Context& context, GuestMemory /*memory*/, uint32_t fd, uint64_t /*offset*/,
                  uint64_t /*len*/) noexcept {
  // As in Wasmtime: taking space without writing to it is not offered.
  Descriptor* file;
  const Errno result = find_file(context, fd, file);
  return result == Errno::kSuccess ? Errno::kNotsup : result;
}

Errno fd_close(Context& context, GuestMemory /*memory*/, uint32_t fd) noexcept {
  return context.fds().close(fd);
}

Errno fd_datasync(Context& context, GuestMemory /*memory*/, uint32_t fd) noexcept {
  return sync(context, fd, fdatasync);
}

Errno fd_sync(Context& context, GuestMemory /*memory*/, uint32_t fd) noexcept {
  return sync(context, fd, fsync);
}

Errno fd_fdstat_get(Context& context, GuestMemory memory, uint32_t fd, GuestPtr fdstat) noexcept {
  const Descriptor* descriptor = context.fds().find(fd);
  if (descriptor == nullptr) return Errno::kBadf;
  Fdstat result = {.fs_filetype = descriptor->type,
                   .fs_flags = descriptor->flags,
                   .fs_rights_base = 0,
                   .fs_rights_inheriting = 0};
  switch (descriptor->kind) {
    case Descriptor::Kind::kStream:
      result.fs_filetype = stream_type(context, *descriptor);
      result.fs_rights_base = descriptor->stream == 0 ? rights::kFdRead : rights::kFdWrite;
      result.fs_rights_inheriting = result.fs_rights_base;
      break;
    case Descriptor::Kind::kDirectory:
      result.fs_rights_base = kDirectoryRights;
      result.fs_rights_inheriting = kInheritedRights;
      break;
    default:
      result.fs_rights_base = rights::kAll;
      if (!descriptor->readable) result.fs_rights_base &= ~(rights::kFdRead | rights::kFdReaddir);
      if (!descriptor->writable) result.fs_rights_base &= ~rights::kFdWrite;
      result.fs_rights_inheriting = result.fs_rights_base;
      break;
  }
  return memory.store(fdstat, result) ? Errno::kSuccess : Errno::kFault;
}

Errno fd_fdstat_set_flags(Context& context, GuestMemory /*memory*/, uint32_t fd,
                          uint32_t flags) noexcept {
  using namespace fdflags;
  Descriptor* file;
  if (const Errno result = find_file(context, fd, file); result != Errno::kSuccess) return result;
  if ((flags & ~(kAppend | kNonblock)) != 0) return Errno::kInval;
  // The host's descriptor never blocks; what the guest sees is done here.
  const int host_flags = O_NONBLOCK | ((flags & kAppend) != 0 ? O_APPEND : 0);
  if (fcntl(file->fd.get(), F_SETFL, host_flags) != 0) return errno_from_host(errno);
  file->flags = static_cast<uint16_t>(flags);
  return Errno::kSuccess;
}

Errno fd_fdstat_set_rights(Context& context, GuestMemory /*memory*/, uint32_t fd, uint64_t /*base*/,
                           uint64_t /*inheriting*/) noexcept {
  // As in Wasmtime: rights are what a descriptor can do, not a list to edit.
  const Descriptor* descriptor = context.fds().find(fd);
  return descriptor == nullptr || descriptor->is_stream() ? Errno::kBadf : Errno::kNotsup;
}

Errno fd_filestat_get(Context& context, GuestMemory memory, uint32_t fd,
                      GuestPtr filestat) noexcept {
  Filestat result;
  if (const Errno error = filestat_of(context, fd, result); error != Errno::kSuccess) return error;
  return memory.store(filestat, result) ? Errno::kSuccess : Errno::kFault;
}

Errno unstable::fd_filestat_get(Context& context, GuestMemory memory, uint32_t fd,
                                GuestPtr filestat) noexcept {
  Filestat result;
  if (const Errno error = filestat_of(context, fd, result); error != Errno::kSuccess) return error;
  return memory.store(filestat, to_unstable(result)) ? Errno::kSuccess : Errno::kFault;
}

Errno fd_filestat_set_size(Context& context, GuestMemory /*memory*/, uint32_t fd,
                           uint64_t size) noexcept {
  Descriptor* file;
  if (const Errno result = find_file(context, fd, file); result != Errno::kSuccess) return result;
  if (file->read_only) return Errno::kPerm;
  if (size > kMaxOffset) return Errno::kInval;
  return from_result(ftruncate(file->fd.get(), static_cast<off_t>(size)));
}

Errno fd_filestat_set_times(Context& context, GuestMemory /*memory*/, uint32_t fd, uint64_t atim,
                            uint64_t mtim, uint32_t flags) noexcept {
  timespec times[2];
  if (const Errno result = times_from(timespec_of(atim), timespec_of(mtim), flags, times);
      result != Errno::kSuccess) {
    return result;
  }
  Descriptor* descriptor = context.fds().find(fd);
  if (descriptor == nullptr || descriptor->is_stream()) return Errno::kBadf;
  if (descriptor->read_only) return Errno::kPerm;
  if (descriptor->is_file()) return from_result(futimens(descriptor->fd.get(), times));
  if (const Errno result = context.fds().directory(fd, descriptor); result != Errno::kSuccess) {
    return result;
  }
  // A preopen's descriptor may be only a place (O_PATH), which futimens refuses.
  return from_result(utimensat(descriptor->fd.get(), "", times, AT_EMPTY_PATH));
}

Errno fd_stat(Context& context, GuestMemory memory, uint32_t fd, GuestPtr status) noexcept {
  Descriptor* descriptor;
  struct stat native;
  const Errno result = stat_descriptor(context, fd, descriptor, native);
  if (result != Errno::kSuccess) return result;
  if (descriptor->is_stream()) native.st_mode |= S_IRUSR | S_IWUSR;
  return memory.store(status, status_of(native, descriptor->exec)) ? Errno::kSuccess : Errno::kFault;
}

Errno fd_chmod(Context& context, GuestMemory /*memory*/, uint32_t fd, uint32_t mode) noexcept {
  if (mode > kModeBits) return Errno::kInval;
  Descriptor* descriptor;
  struct stat status;
  const Errno result = stat_descriptor(context, fd, descriptor, status);
  if (result != Errno::kSuccess) return result;
  if (descriptor->is_stream()) return Errno::kBadf;
  if (descriptor->read_only) return Errno::kPerm;
  return change_mode(descriptor->fd.get(), status, mode, descriptor->exec);
}

Errno fd_prestat_get(Context& context, GuestMemory memory, uint32_t fd, GuestPtr prestat) noexcept {
  const Descriptor* descriptor = context.fds().find(fd);
  if (descriptor == nullptr || descriptor->preopen == nullptr) return Errno::kBadf;
  const Prestat result = {.name_len =
                              static_cast<uint32_t>(descriptor->preopen->guest_path.size())};
  return memory.store(prestat, result) ? Errno::kSuccess : Errno::kFault;
}

Errno fd_prestat_dir_name(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                          GuestSize path_len) noexcept {
  const Descriptor* descriptor = context.fds().find(fd);
  if (descriptor == nullptr) return Errno::kBadf;
  if (descriptor->preopen == nullptr) return Errno::kNotdir;
  const std::string& name = descriptor->preopen->guest_path;
  if (name.size() > path_len) return Errno::kNametoolong;
  const auto bytes = memory.bytes(path, name.size());
  if (!bytes) return Errno::kFault;
  std::memcpy(bytes->data(), name.data(), name.size());
  return Errno::kSuccess;
}

Errno fd_readdir(Context& context, GuestMemory memory, uint32_t fd, GuestPtr buf, GuestSize buf_len,
                 uint64_t cookie, GuestPtr used) noexcept {
  Descriptor* directory;
  if (const Errno result = context.fds().directory(fd, directory); result != Errno::kSuccess) {
    return result;
  }
  const auto bytes = memory.bytes(buf, buf_len);
  if (!bytes || !memory.contains(used, sizeof(GuestSize))) return Errno::kFault;
  EntryBuffer buffer(*bytes);
  const Errno result = read_directory(context, *directory, cookie, buffer);
  if (result == Errno::kSuccess) (void)memory.store(used, buffer.used());
  return result;
}

Errno fd_renumber(Context& context, GuestMemory /*memory*/, uint32_t fd, uint32_t to) noexcept {
  return context.fds().renumber(fd, to);
}

Errno fd_seek(Context& context, GuestMemory memory, uint32_t fd, int64_t offset, uint32_t whence,
              GuestPtr position) noexcept {
  static constexpr std::array kWhence = {SEEK_SET, SEEK_CUR, SEEK_END};
  if (whence >= kWhence.size()) return Errno::kInval;
  return seek(context, memory, fd, offset, kWhence[whence], position);
}

Errno unstable::fd_seek(Context& context, GuestMemory memory, uint32_t fd, int64_t offset,
                        uint32_t whence, GuestPtr position) noexcept {
  static constexpr std::array kWhence = {SEEK_CUR, SEEK_END, SEEK_SET};
  if (whence >= kWhence.size()) return Errno::kInval;
  return seek(context, memory, fd, offset, kWhence[whence], position);
}

Errno fd_tell(Context& context, GuestMemory memory, uint32_t fd, GuestPtr position) noexcept {
  return seek(context, memory, fd, 0, SEEK_CUR, position);
}

}  // namespace wasmrt::wasi
