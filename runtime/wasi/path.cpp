// SPDX-License-Identifier: Apache-2.0
#include "wasi/path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace wasmrt::wasi {
namespace {

int openat2(int directory, const char* path, uint64_t flags, mode_t mode) {
  open_how how{};
  how.flags = flags;
  // openat2 refuses a mode that would not be used.
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, directory, path, &how, sizeof(how)));
}

/// The part of a path that is still to be walked. Symbolic links put their
/// target in front of it.
class Rest {
 public:
  explicit Rest(std::string_view path) : begin_(kCapacity - path.size()) {
    std::memcpy(text_.data() + begin_, path.data(), path.size());
  }

  [[nodiscard]] bool empty() const { return begin_ == kCapacity; }
  [[nodiscard]] std::string_view view() const {
    return {text_.data() + begin_, kCapacity - begin_};
  }

  /// Takes the slashes in front. @return whether there were any.
  bool skip_slashes() {
    const size_t before = begin_;
    while (!empty() && text_[begin_] == '/') ++begin_;
    return begin_ != before;
  }

  std::string_view take_component() {
    const std::string_view all = view();
    const std::string_view component = all.substr(0, all.find('/'));
    begin_ += component.size();
    return component;
  }

  [[nodiscard]] bool only_slashes() const {
    return view().find_first_not_of('/') == std::string_view::npos;
  }

  Errno put_in_front(std::string_view target) {
    if (target.empty()) return Errno::kNoent;
    if (target.front() == '/') return Errno::kPerm;
    if (target.size() > begin_) return Errno::kNametoolong;
    begin_ -= target.size();
    std::memcpy(text_.data() + begin_, target.data(), target.size());
    return Errno::kSuccess;
  }

 private:
  static constexpr size_t kCapacity = size_t{4} * PATH_MAX;
  std::array<char, kCapacity> text_;
  size_t begin_;
};

/// One lookup, walked here. Every step opens one component beneath a
/// descriptor that was reached the same way, never following a link; ".."
/// goes back to the descriptor the walk came from. So nothing that others
/// rename meanwhile leads above the start.
class Walk {
 public:
  Walk(int start, std::string_view path) : start_(start), rest_(path) {}

  Errno open(int flags, mode_t mode, UniqueFd& opened);

 private:
  [[nodiscard]] int here() const { return depth_ == 0 ? start_ : passed_[depth_ - 1].get(); }
  Errno enter(const char* name);
  Errno expand(int directory, const char* name);
  Errno open_last(const char* name, int flags, mode_t mode, UniqueFd& opened, bool& done);

  int start_;
  Rest rest_;
  std::array<UniqueFd, kMaxWalkDepth> passed_;
  int depth_ = 0;
  int links_ = 0;
};

/// Puts the target of a symbolic link in front of the rest. With an empty
/// `name`, `directory` is the link itself.
Errno Walk::expand(int directory, const char* name) {
  if (++links_ > kMaxSymlinks) return Errno::kLoop;
  char target[PATH_MAX];
  const ssize_t length = readlinkat(directory, name, target, sizeof(target));
  if (length < 0) return errno_from_host(errno);
  if (length == static_cast<ssize_t>(sizeof(target))) return Errno::kNametoolong;
  return rest_.put_in_front({target, static_cast<size_t>(length)});
}

/// Goes into a directory, or expands a symbolic link.
Errno Walk::enter(const char* name) {
  UniqueFd fd(openat(here(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return errno_from_host(errno);
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return errno_from_host(errno);
  if (S_ISLNK(status.st_mode)) return expand(fd.get(), "");
  if (!S_ISDIR(status.st_mode)) return Errno::kNotdir;
  if (depth_ == kMaxWalkDepth) return Errno::kNametoolong;
  passed_[depth_++] = std::move(fd);
  return Errno::kSuccess;
}

/// Opens the last component, or expands it if it is a link to be followed.
Errno Walk::open_last(const char* name, int flags, mode_t mode, UniqueFd& opened, bool& done) {
  const bool follow = (flags & O_NOFOLLOW) == 0;
  // With O_PATH a link would be opened itself, or answer ENOTDIR.
  const int plain = (flags & O_PATH) != 0 && follow ? flags & ~O_DIRECTORY : flags;
  UniqueFd fd(openat(here(), name, plain | O_NOFOLLOW, mode));
  if (!fd.valid()) {
    const int error = errno;
    if (follow && (error == ELOOP || error == ENOTDIR)) {
      const Errno expanded = expand(here(), name);
      if (expanded != Errno::kInval) return expanded;  // kInval: not a link
    }
    return errno_from_host(error);
  }
  if ((flags & O_PATH) != 0 && follow) {
    struct stat status;
    if (fstat(fd.get(), &status) != 0) return errno_from_host(errno);
    if (S_ISLNK(status.st_mode)) return expand(fd.get(), "");
    if ((flags & O_DIRECTORY) != 0 && !S_ISDIR(status.st_mode)) return Errno::kNotdir;
  }
  opened = std::move(fd);
  done = true;
  return Errno::kSuccess;
}

Errno Walk::open(int flags, mode_t mode, UniqueFd& opened) {
  if (rest_.empty()) return Errno::kNoent;
  if (rest_.view().front() == '/') return Errno::kPerm;
  char name[NAME_MAX + 1];
  while (true) {
    rest_.skip_slashes();
    if (rest_.empty()) break;
    const std::string_view component = rest_.take_component();
    if (component == ".") continue;
    if (component == "..") {
      if (depth_ == 0) return Errno::kPerm;
      passed_[--depth_].reset();
      continue;
    }
    if (component.size() > NAME_MAX) return Errno::kNametoolong;
    component.copy(name, component.size());
    name[component.size()] = '\0';

    Errno result;
    if (!rest_.empty()) {
      // As the kernel: what ends in a slash cannot be created.
      if ((flags & O_CREAT) != 0 && rest_.only_slashes()) return Errno::kIsdir;
      result = enter(name);
    } else {
      bool done = false;
      result = open_last(name, flags, mode, opened, done);
      if (done) return result;
    }
    if (result != Errno::kSuccess) return result;
  }
  // The path ended in "." or ".." or a slash: it names where the walk stands.
  if ((flags & O_CREAT) != 0) return (flags & O_EXCL) != 0 ? Errno::kExist : Errno::kIsdir;
  opened.reset(openat(here(), ".", flags | O_DIRECTORY));
  return opened.valid() ? Errno::kSuccess : errno_from_host(errno);
}

Errno open_by_kernel(int directory, std::string_view path, int flags, mode_t mode,
                     UniqueFd& opened) {
  char text[PATH_MAX];
  if (path.size() >= sizeof(text)) return Errno::kNametoolong;
  path.copy(text, path.size());
  text[path.size()] = '\0';
  // The kernel gives up on ".." while anything is being renamed anywhere.
  constexpr int kTries = 32;
  for (int i = 0; i < kTries; ++i) {
    const int fd = openat2(directory, text, static_cast<uint64_t>(flags), mode);
    if (fd >= 0) {
      opened.reset(fd);
      return Errno::kSuccess;
    }
    if (errno == EXDEV) return Errno::kPerm;
    if (errno != EAGAIN && errno != EINTR) return errno_from_host(errno);
  }
  return Walk(directory, path).open(flags, mode, opened);
}

}  // namespace

bool kernel_has_openat2() {
  static const bool has = [] {
    UniqueFd fd(openat2(AT_FDCWD, ".", O_PATH | O_CLOEXEC, 0));
    return fd.valid() || (errno != ENOSYS && errno != EPERM);
  }();
  return has;
}

bool is_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* end = at + text.size();
  while (at != end) {
    const uint8_t lead = *at++;
    if (lead < 0x80) continue;
    int more;
    uint8_t low = 0x80;
    uint8_t high = 0xBF;  // of the second byte
    if (lead >= 0xC2 && lead <= 0xDF) {
      more = 1;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      more = 2;
      if (lead == 0xE0) low = 0xA0;   // shorter forms
      if (lead == 0xED) high = 0x9F;  // surrogates
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      more = 3;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;  // past U+10FFFF
    } else {
      return false;
    }
    for (; more > 0; --more) {
      if (at == end || *at < low || *at > high) return false;
      ++at;
      low = 0x80;
      high = 0xBF;
    }
  }
  return true;
}

Errno GuestPath::assign(GuestMemory memory, GuestPtr ptr, GuestSize len) {
  const auto path = memory.string(ptr, len);
  return path ? assign(*path) : Errno::kFault;
}

Errno GuestPath::assign(std::string_view path) {
  if (path.size() >= sizeof(text_)) return Errno::kNametoolong;
  if (!is_utf8(path)) return Errno::kIlseq;
  if (path.empty()) return Errno::kNoent;
  if (path.find('\0') != std::string_view::npos) return Errno::kInval;
  if (path.front() == '/') return Errno::kPerm;
  length_ = path.copy(text_, path.size());
  text_[length_] = '\0';
  return Errno::kSuccess;
}

Errno open_beneath(PathWalk walk, int directory, std::string_view path, int flags, mode_t mode,
                   UniqueFd& opened) {
  flags |= O_CLOEXEC;
  if (walk == PathWalk::kKernel || (walk == PathWalk::kAutomatic && kernel_has_openat2())) {
    return open_by_kernel(directory, path, flags, mode, opened);
  }
  return Walk(directory, path).open(flags, mode, opened);
}

Errno PathParent::resolve(PathWalk walk, int directory, GuestPath& path) {
  size_t end = path.length_;
  while (end > 0 && path.text_[end - 1] == '/') --end;
  trailing_slash_ = end != path.length_;
  const std::string_view whole(path.text_, end);
  const size_t slash = whole.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? whole : whole.substr(slash + 1);
  if (name == "." || name == "..") {
    dots_ = static_cast<int>(name.size());
    return open_beneath(walk, directory, whole, O_PATH | O_DIRECTORY, 0, owned_);
  }
  path.text_[end] = '\0';
  name_ = name.data();
  if (slash == std::string_view::npos) {
    fd_ = directory;
    return Errno::kSuccess;
  }
  const Errno opened =
      open_beneath(walk, directory, whole.substr(0, slash), O_PATH | O_DIRECTORY, 0, owned_);
  fd_ = owned_.get();
  return opened;
}

}  // namespace wasmrt::wasi
