// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/limits.h>
#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "support/unique_fd.h"
#include "wasi/guest_memory.h"
#include "wasi/types.h"

// Guest paths. Whatever a guest names is looked up beneath a directory that
// was given to it, and nothing it or anyone else does to the file system at
// the same time leads out of it.

namespace wasmrt::wasi {

/// Who walks along a path.
enum class PathWalk : uint8_t {
  kAutomatic,  ///< the kernel where it has openat2, else this library
  kKernel,     ///< openat2 with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS
  kOwn,        ///< component by component, expanding symbolic links here
};

/// Old kernels answer ENOSYS; the filters of some containers EPERM.
bool kernel_has_openat2();

/// Symbolic links that one lookup may pass through; Linux has the same number.
inline constexpr int kMaxSymlinks = 40;
/// Directories between a preopen and the end of a path, when this library
/// walks: it holds one descriptor for each.
inline constexpr int kMaxWalkDepth = 128;

/// True if `text` is well-formed UTF-8.
bool is_utf8(std::string_view text);

/// A guest's path, copied, checked and NUL-terminated.
class GuestPath {
 public:
  GuestPath() { text_[0] = '\0'; }
  GuestPath(const GuestPath&) = delete;
  GuestPath& operator=(const GuestPath&) = delete;

  /// @return kFault, kNametoolong, kNoent (empty), kInval (contains NUL),
  ///         kIlseq (not UTF-8) or kPerm (absolute, so outside).
  Errno assign(GuestMemory memory, GuestPtr ptr, GuestSize len);
  Errno assign(std::string_view path);

  [[nodiscard]] const char* c_str() const { return text_; }
  [[nodiscard]] std::string_view view() const { return {text_, length_}; }

 private:
  friend class PathParent;

  size_t length_ = 0;
  char text_[PATH_MAX];
};

/// Opens `path` beneath `directory`. `flags` are those of openat; O_CLOEXEC is
/// added. Without O_NOFOLLOW a symbolic link at the end is followed. A trailing
/// slash means as everywhere that the path names a directory.
///
/// @return kPerm if the path leads out, else what openat would say.
Errno open_beneath(PathWalk walk, int directory, std::string_view path, int flags, mode_t mode,
                   UniqueFd& opened);

/// The directory in which a path's last component lies, and that component:
/// what the *at() calls that create, remove or rename need. They get a name
/// that never holds a slash and is never "." or "..", so that the kernel has
/// nothing to follow.
class PathParent {
 public:
  /// @param path  is changed: it keeps the strings that name() gives out.
  /// @return kSuccess also if the last component is "." or ".." (ask dots())
  ///         and the path stays inside.
  Errno resolve(PathWalk walk, int directory, GuestPath& path);

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const char* name() const { return name_; }
  /// 0, or 1 for a last component ".", 2 for "..". There is no fd() or name()
  /// then; the path names an existing directory.
  [[nodiscard]] int dots() const { return dots_; }
  [[nodiscard]] bool trailing_slash() const { return trailing_slash_; }

 private:
  UniqueFd owned_;
  int fd_ = -1;
  const char* name_ = nullptr;
  int dots_ = 0;
  bool trailing_slash_ = false;
};

}  // namespace wasmrt::wasi
