// SPDX-License-Identifier: Apache-2.0
//
// The functions that take a path. What they do to the file system is done
// relative to a directory that path.h found, on a name that holds no slash.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "wasi/file_status.h"
#include "wasi/functions.h"
#include "wasi/path.h"

namespace wasmrt::wasi {
namespace {

constexpr mode_t kFileMode = 0666;  // less the umasks of the run and the process
constexpr mode_t kDirectoryMode = 0777;

Errno from_result(int result) { return result == 0 ? Errno::kSuccess : errno_from_host(errno); }

/// A directory that may be changed; kPerm beneath a read-only preopen.
Errno writable_directory(Context& context, uint32_t fd, Descriptor*& directory) {
  const Errno result = context.fds().directory(fd, directory);
  if (result != Errno::kSuccess) return result;
  return directory->read_only ? Errno::kPerm : Errno::kSuccess;
}

/// A name to be created, changed or removed in a directory that may be changed.
struct Target {
  Descriptor* directory = nullptr;
  GuestPath path;
  PathParent parent;

  Errno resolve(Context& context, GuestMemory memory, uint32_t fd, GuestPtr ptr, GuestSize len) {
    if (const Errno result = writable_directory(context, fd, directory);
        result != Errno::kSuccess) {
      return result;
    }
    if (const Errno result = path.assign(memory, ptr, len); result != Errno::kSuccess) {
      return result;
    }
    return parent.resolve(context.path_walk(), directory->fd.get(), path);
  }

  /// What stands there, links not followed.
  Errno stat(struct stat& status) const {
    return from_result(fstatat(parent.fd(), parent.name(), &status, AT_SYMLINK_NOFOLLOW));
  }

  /// For a name with slashes behind it that shall become something else than a
  /// directory: never possible; says why.
  Errno refuse_trailing_slash(Context& context) const {
    // The slashes follow a link that is there already, as far as it may lead.
    UniqueFd existing;
    const Errno result = open_beneath(context.path_walk(), parent.fd(), parent.name(),
                                      O_PATH | O_DIRECTORY, 0, existing);
    return result == Errno::kSuccess ? Errno::kExist : result;
  }
};

/// A file with a name in both would get in one the mode that it must not have in the other. So
/// directories with and without `exec` are as different file systems.
bool differ_in_exec(const Target& one, const Target& other) {
  return one.directory->exec != other.directory->exec;
}

/// What a path leads to, which may be a link that is not followed: a place to ask for the status
/// of, or to change it.
Errno open_place(Context& context, GuestMemory memory, const Descriptor& directory, uint32_t flags,
                 GuestPtr ptr, GuestSize len, UniqueFd& opened) {
  if ((flags & ~lookupflags::kAll) != 0) return Errno::kInval;
  GuestPath path;
  if (const Errno result = path.assign(memory, ptr, len); result != Errno::kSuccess) return result;
  const int nofollow = (flags & lookupflags::kSymlinkFollow) != 0 ? 0 : O_NOFOLLOW;
  return open_beneath(context.path_walk(), directory.fd.get(), path.view(), O_PATH | nofollow, 0,
                      opened);
}

/// The same with its status.
struct Place {
  Descriptor* directory = nullptr;
  UniqueFd fd;
  struct stat status;

  Errno resolve(Context& context, GuestMemory memory, uint32_t directory_fd, uint32_t flags,
                GuestPtr ptr, GuestSize len) {
    if (const Errno result = context.fds().directory(directory_fd, directory);
        result != Errno::kSuccess) {
      return result;
    }
    if (const Errno result = open_place(context, memory, *directory, flags, ptr, len, fd);
        result != Errno::kSuccess) {
      return result;
    }
    if (fstat(fd.get(), &status) != 0) return errno_from_host(errno);
    return context.lock_directories().holds(status) ? Errno::kNoent : Errno::kSuccess;
  }
};

Errno set_times(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags, GuestPtr path,
                GuestSize path_len, const timespec& atim, const timespec& mtim,
                uint32_t fst_flags) {
  timespec times[2];
  if (const Errno result = times_from(atim, mtim, fst_flags, times); result != Errno::kSuccess) {
    return result;
  }
  Descriptor* directory;
  if (const Errno result = writable_directory(context, fd, directory); result != Errno::kSuccess) {
    return result;
  }
  UniqueFd opened;
  if (const Errno result = open_place(context, memory, *directory, flags, path, path_len, opened);
      result != Errno::kSuccess) {
    return result;
  }
  return from_result(utimensat(opened.get(), "", times, AT_EMPTY_PATH));
}

}  // namespace

Errno path_create_directory(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                            GuestSize path_len) noexcept {
  Target target;
  if (const Errno result = target.resolve(context, memory, fd, path, path_len);
      result != Errno::kSuccess) {
    return result;
  }
  if (target.parent.dots() != 0) return Errno::kExist;
  return context.lock_directories().make(target.parent.fd(), target.parent.name(),
                                         kDirectoryMode & ~context.umask());
}

Errno path_filestat_get(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags,
                        GuestPtr path, GuestSize path_len, GuestPtr filestat) noexcept {
  Place place;
  const Errno result = place.resolve(context, memory, fd, flags, path, path_len);
  if (result != Errno::kSuccess) return result;
  return memory.store(filestat, filestat_of(place.status)) ? Errno::kSuccess : Errno::kFault;
}

Errno unstable::path_filestat_get(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags,
                                  GuestPtr path, GuestSize path_len, GuestPtr filestat) noexcept {
  Place place;
  const Errno result = place.resolve(context, memory, fd, flags, path, path_len);
  if (result != Errno::kSuccess) return result;
  return memory.store(filestat, to_unstable(filestat_of(place.status))) ? Errno::kSuccess
                                                                        : Errno::kFault;
}

Errno path_filestat_set_times(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags,
                              GuestPtr path, GuestSize path_len, uint64_t atim, uint64_t mtim,
                              uint32_t fst_flags) noexcept {
  return set_times(context, memory, fd, flags, path, path_len, timespec_of(atim), timespec_of(mtim),
                   fst_flags);
}

Errno path_link(Context& context, GuestMemory memory, uint32_t old_fd, uint32_t old_flags,
                GuestPtr old_path, GuestSize old_path_len, uint32_t new_fd, GuestPtr new_path,
                GuestSize new_path_len) noexcept {
  // A link out of a read-only directory would be a way to write to the file,
  // so both sides have to be writable.
  Target source;
  if (const Errno result = source.resolve(context, memory, old_fd, old_path, old_path_len);
      result != Errno::kSuccess) {
    return result;
  }
  Target target;
  if (const Errno result = target.resolve(context, memory, new_fd, new_path, new_path_len);
      result != Errno::kSuccess) {
    return result;
  }
  // As in Wasmtime: a link is made to what the path names, not to where a
  // symbolic link leads.
  if (old_flags != 0) return Errno::kInval;
  if (source.parent.dots() != 0) return Errno::kPerm;  // a directory
  if (target.parent.dots() != 0) return Errno::kExist;
  if (source.parent.trailing_slash()) {
    const Errno result = source.refuse_trailing_slash(context);
    return result == Errno::kExist ? Errno::kPerm : result;
  }
  if (target.parent.trailing_slash()) return target.refuse_trailing_slash(context);
  if (differ_in_exec(source, target)) return Errno::kXdev;
  return from_result(linkat(source.parent.fd(), source.parent.name(), target.parent.fd(),
                            target.parent.name(), 0));
}

Errno path_open(Context& context, GuestMemory memory, uint32_t fd, uint32_t dirflags, GuestPtr path,
                GuestSize path_len, uint32_t oflags, uint64_t rights_base,
                uint64_t /*rights_inheriting*/, uint32_t fdflags, GuestPtr opened_fd) noexcept {
  if ((dirflags & ~lookupflags::kAll) != 0 || (oflags & ~oflags::kAll) != 0 ||
      (fdflags & ~fdflags::kAll) != 0) {
    return Errno::kInval;
  }
  GuestPath text;
  const Errno valid = text.assign(memory, path, path_len);
  if (valid == Errno::kFault || valid == Errno::kIlseq) return valid;
  Descriptor* directory = context.fds().find(fd);
  if (directory != nullptr && directory->is_file()) return Errno::kNotdir;
  if (const Errno result = context.fds().directory(fd, directory); result != Errno::kSuccess) {
    return result;
  }
  // As in Wasmtime; a guest that needs it calls fd_sync.
  if ((fdflags & (fdflags::kDsync | fdflags::kRsync | fdflags::kSync)) != 0) {
    return Errno::kNotsup;
  }
  const bool create = (oflags & oflags::kCreate) != 0;
  const bool truncate = (oflags & oflags::kTruncate) != 0;
  const bool exclusive = (oflags & oflags::kExclusive) != 0;
  const bool only_directory = (oflags & oflags::kDirectory) != 0;
  if (only_directory && (create || truncate || exclusive)) return Errno::kInval;
  const bool write = create || truncate || (rights_base & rights::kFdWrite) != 0;
  const bool read = (rights_base & rights::kFdRead) != 0 || (rights_base & rights::kFdWrite) == 0;
  if (write && directory->read_only) return Errno::kPerm;
  if (valid != Errno::kSuccess) return valid;
  if (!memory.contains(opened_fd, sizeof(uint32_t))) return Errno::kFault;
  if (const Errno result = context.fds().room(); result != Errno::kSuccess) return result;

  // Never blocks: a FIFO or a device would keep the thread until someone else
  // opens its other end.
  int flags = O_NONBLOCK | O_NOCTTY;
  flags |= write ? (read ? O_RDWR : O_WRONLY) : O_RDONLY;
  if (create) flags |= O_CREAT | (exclusive ? O_EXCL : 0);
  if (truncate) flags |= O_TRUNC;
  if (only_directory) flags |= O_DIRECTORY;
  if ((fdflags & fdflags::kAppend) != 0) flags |= O_APPEND;
  if ((dirflags & lookupflags::kSymlinkFollow) == 0) flags |= O_NOFOLLOW;

  Descriptor descriptor;
  const Errno opened = open_beneath(context.path_walk(), directory->fd.get(), text.view(), flags,
                                    kFileMode & ~context.umask(), descriptor.fd);
  if (opened != Errno::kSuccess) return opened;
  struct stat status;
  if (fstat(descriptor.fd.get(), &status) != 0) return errno_from_host(errno);
  context.host().opened(descriptor.fd.get());
  descriptor.type = file_type(status.st_mode);
  descriptor.read_only = directory->read_only;
  descriptor.exec = directory->exec;
  if (descriptor.type == FileType::kDirectory) {
    descriptor.kind = Descriptor::Kind::kDirectory;
  } else {
    descriptor.kind = Descriptor::Kind::kFile;
    descriptor.readable = read;
    descriptor.writable = write;
    descriptor.flags = static_cast<uint16_t>(fdflags);
  }
  uint32_t number;
  if (const Errno result = context.fds().insert(std::move(descriptor), number);
      result != Errno::kSuccess) {
    return result;
  }
  (void)memory.store(opened_fd, number);
  return Errno::kSuccess;
}

Errno path_readlink(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                    GuestSize path_len, GuestPtr buf, GuestSize buf_len, GuestPtr used) noexcept {
  Descriptor* directory;
  if (const Errno result = context.fds().directory(fd, directory); result != Errno::kSuccess) {
    return result;
  }
  GuestPath text;
  if (const Errno result = text.assign(memory, path, path_len); result != Errno::kSuccess) {
    return result;
  }
  const auto bytes = memory.bytes(buf, buf_len);
  if (!bytes || !memory.contains(used, sizeof(GuestSize))) return Errno::kFault;
  UniqueFd link;
  const Errno result = open_beneath(context.path_walk(), directory->fd.get(), text.view(),
                                    O_PATH | O_NOFOLLOW, 0, link);
  if (result != Errno::kSuccess) return result;
  char target[PATH_MAX];
  const ssize_t length = readlinkat(link.get(), "", target, sizeof(target));
  // With an empty name this is what readlinkat says of all but links.
  if (length < 0) return errno == ENOENT ? Errno::kInval : errno_from_host(errno);
  const std::string_view whole(target, static_cast<size_t>(length));
  if (!is_utf8(whole)) return Errno::kIlseq;
  const size_t fits = std::min(whole.size(), bytes->size());
  std::copy_n(whole.data(), fits, bytes->data());
  (void)memory.store(used, static_cast<GuestSize>(fits));
  return Errno::kSuccess;
}

Errno path_remove_directory(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                            GuestSize path_len) noexcept {
  Target target;
  if (const Errno result = target.resolve(context, memory, fd, path, path_len);
      result != Errno::kSuccess) {
    return result;
  }
  if (target.parent.dots() != 0) {
    return target.parent.dots() == 1 ? Errno::kInval : Errno::kNotempty;
  }
  return context.lock_directories().remove(target.parent.fd(), target.parent.name());
}

Errno path_rename(Context& context, GuestMemory memory, uint32_t fd, GuestPtr old_path,
                  GuestSize old_path_len, uint32_t new_fd, GuestPtr new_path,
                  GuestSize new_path_len) noexcept {
  Target source;
  if (const Errno result = source.resolve(context, memory, fd, old_path, old_path_len);
      result != Errno::kSuccess) {
    return result;
  }
  Target target;
  if (const Errno result = target.resolve(context, memory, new_fd, new_path, new_path_len);
      result != Errno::kSuccess) {
    return result;
  }
  if (source.parent.dots() != 0 || target.parent.dots() != 0) return Errno::kBusy;
  if (source.parent.trailing_slash() || target.parent.trailing_slash()) {
    struct stat status;
    if (const Errno result = source.stat(status); result != Errno::kSuccess) return result;
    if (!S_ISDIR(status.st_mode)) return Errno::kNotdir;
  }
  if (differ_in_exec(source, target)) return Errno::kXdev;
  return from_result(
      renameat(source.parent.fd(), source.parent.name(), target.parent.fd(), target.parent.name()));
}

Errno path_symlink(Context& context, GuestMemory memory, GuestPtr old_path, GuestSize old_path_len,
                   uint32_t fd, GuestPtr new_path, GuestSize new_path_len) noexcept {
  // Checked like a path: an absolute target could only lead out.
  GuestPath contents;
  if (const Errno result = contents.assign(memory, old_path, old_path_len);
      result != Errno::kSuccess) {
    return result;
  }
  Target target;
  if (const Errno result = target.resolve(context, memory, fd, new_path, new_path_len);
      result != Errno::kSuccess) {
    return result;
  }
  if (target.parent.dots() != 0) return Errno::kExist;
  if (target.parent.trailing_slash()) return target.refuse_trailing_slash(context);
  return from_result(symlinkat(contents.c_str(), target.parent.fd(), target.parent.name()));
}

Errno path_unlink_file(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                       GuestSize path_len) noexcept {
  Target target;
  if (const Errno result = target.resolve(context, memory, fd, path, path_len);
      result != Errno::kSuccess) {
    return result;
  }
  if (target.parent.dots() != 0) return Errno::kIsdir;
  if (target.parent.trailing_slash()) {
    struct stat status;
    if (const Errno result = target.stat(status); result != Errno::kSuccess) return result;
    return S_ISDIR(status.st_mode) ? Errno::kIsdir : Errno::kNotdir;
  }
  return from_result(unlinkat(target.parent.fd(), target.parent.name(), 0));
}

Errno file_umask(Context& context, GuestMemory /*memory*/, uint32_t mask) noexcept {
  if (mask > kPermissions) return Errno::kInval;
  context.set_umask(mask);
  return Errno::kSuccess;
}

Errno path_stat(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags, GuestPtr path,
                GuestSize path_len, GuestPtr status) noexcept {
  Place place;
  const Errno result = place.resolve(context, memory, fd, flags, path, path_len);
  if (result != Errno::kSuccess) return result;
  return memory.store(status, status_of(place.status, place.directory->exec)) ? Errno::kSuccess
                                                                              : Errno::kFault;
}

Errno path_set_times(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags,
                     GuestPtr path, GuestSize path_len, GuestPtr times,
                     uint32_t fst_flags) noexcept {
  struct {
    Time atim;
    Time mtim;
  } set;
  if (!memory.load(times, set)) return Errno::kFault;
  constexpr uint32_t kSecond = 1'000'000'000;  // past it are the kernel's UTIME_NOW and UTIME_OMIT
  if (set.atim.nanoseconds >= kSecond || set.mtim.nanoseconds >= kSecond) return Errno::kInval;
  return set_times(context, memory, fd, flags, path, path_len,
                   {.tv_sec = set.atim.seconds, .tv_nsec = set.atim.nanoseconds},
                   {.tv_sec = set.mtim.seconds, .tv_nsec = set.mtim.nanoseconds}, fst_flags);
}

Errno path_access(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                  GuestSize path_len, uint32_t mode) noexcept {
  if ((mode & ~static_cast<uint32_t>(R_OK | W_OK | X_OK)) != 0) return Errno::kInval;
  Place place;
  const Errno result =
      place.resolve(context, memory, fd, lookupflags::kSymlinkFollow, path, path_len);
  if (result != Errno::kSuccess || mode == F_OK) return result;
  if ((mode & W_OK) != 0 && place.directory->read_only) return Errno::kPerm;
  if ((mode & X_OK) != 0 && !S_ISDIR(place.status.st_mode) && !place.directory->exec) {
    return Errno::kAcces;
  }
  return check_access(place.fd.get(), static_cast<int>(mode));
}

Errno path_chmod(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                 GuestSize path_len, uint32_t mode) noexcept {
  if (mode > kModeBits) return Errno::kInval;
  Descriptor* directory;
  if (const Errno result = writable_directory(context, fd, directory); result != Errno::kSuccess) {
    return result;
  }
  Place place;
  const Errno result =
      place.resolve(context, memory, fd, lookupflags::kSymlinkFollow, path, path_len);
  if (result != Errno::kSuccess) return result;
  return change_mode(place.fd.get(), place.status, mode, directory->exec);
}

Errno path_disk_space(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                      GuestSize path_len, GuestPtr space) noexcept {
  Place place;
  const Errno result =
      place.resolve(context, memory, fd, lookupflags::kSymlinkFollow, path, path_len);
  if (result != Errno::kSuccess) return result;
  struct statvfs status;
  if (fstatvfs(place.fd.get(), &status) != 0) return errno_from_host(errno);
  const DiskSpace disk_space = {.block_size = status.f_frsize,
                                .blocks = status.f_blocks,
                                .free = status.f_bfree,
                                .available = status.f_bavail};
  return memory.store(space, disk_space) ? Errno::kSuccess : Errno::kFault;
}

}  // namespace wasmrt::wasi
