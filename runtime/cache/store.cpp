// SPDX-License-Identifier: Apache-2.0
#include "cache/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <string_view>
#include <thread>

#include "cache/file_io.h"
#include "cache/sha256.h"

namespace wasmrt {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr mode_t kDirectoryMode = 0755;
/// Readable by all: servers drop their privileges before they load it.
constexpr mode_t kFileMode = 0644;
constexpr seconds kProgressEvery{5};
constexpr milliseconds kLockPollFirst{2};
constexpr milliseconds kLockPollMost{100};
/// A temporary file this old was left by a process that died.
constexpr time_t kStaleSeconds = 3600;
constexpr std::string_view kTemporarySuffix = ".tmp";

/// The end of a cache file.
struct Trailer {
  std::array<char, 16> magic;
  std::array<char, 64> key;
  uint64_t image_bytes;
  Digest digest;  ///< of the image
};
static_assert(sizeof(Trailer) == 120);

constexpr std::array<char, 16> kMagic = {'m', 'o', 'd', '_', 'w', 'a', 's', 'm',
                                         ' ', 'i', 'm', 'a', 'g', 'e', '1', '\n'};

/// Why a file or directory might be changed by someone who may not; "" if not.
std::string distrust(const struct stat& file) {
  if (file.st_uid != 0 && file.st_uid != geteuid()) {
    return "belongs to user " + std::to_string(file.st_uid) + " and not to root or user " +
           std::to_string(geteuid());
  }
  if ((file.st_mode & (S_IWGRP | S_IWOTH)) != 0) return "can be written by other users";
  return "";
}

/// mkdir -p.
int make_directories(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (mkdir(path.substr(0, slash).c_str(), kDirectoryMode) != 0 && errno != EEXIST) return -1;
  }
  return mkdir(path.c_str(), kDirectoryMode) != 0 && errno != EEXIST ? -1 : 0;
}

}  // namespace

KeyLock::~KeyLock() {
  // Removed while it is held: who waits for it finds it gone and looks anew.
  if (file_.valid()) unlinkat(directory_, name_.c_str(), 0);
}

void KeyLock::publish_failure(const Status& status) {
  const std::string text =
      std::string(1, static_cast<char>('0' + status.code())) + status.message();
  // If it cannot be written, those who wait compile for themselves.
  [[maybe_unused]] const ssize_t written = pwrite(file_.get(), text.data(), text.size(), 0);
}

Result<Store> Store::open(const std::string& directory) {
  if (!directory.starts_with('/')) return Status::invalid("is not an absolute path");
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  UniqueFd fd(::open(directory.c_str(), kFlags));
  if (!fd.valid() && errno == ENOENT) {
    if (make_directories(directory) != 0) {
      return Status::io(errno_text("cannot be created", errno));
    }
    fd.reset(::open(directory.c_str(), kFlags));
  }
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0) {
    return Status::io(errno_text("cannot be opened", errno));
  }
  if (const std::string problem = distrust(info); !problem.empty()) return Status::io(problem);
  return Store(std::move(fd));
}

bool Store::is_noexec() const {
  struct statvfs info {};
  return fstatvfs(directory_.get(), &info) == 0 && (info.f_flag & ST_NOEXEC) != 0;
}

Result<std::optional<Store::Entry>> Store::find(const std::string& key) const {
  const std::string name = key + ".cwasm";
  UniqueFd file(openat(directory_.get(), name.c_str(),
                       O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!file.valid() && errno == ENOENT) return std::optional<Entry>();
  Result<Entry> entry = file.valid() ? check(key, std::move(file))
                                     : Status::io(errno_text("cannot be opened", errno));
  if (entry.is_ok()) return std::optional(entry.take());
  // If it stays, storing the new one replaces it or says why not.
  unlinkat(directory_.get(), name.c_str(), 0);
  return entry.status();
}

Result<Store::Entry> Store::check(const std::string& key, UniqueFd file) const {
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return Status::io(errno_text("cannot be read", errno));
  if (!S_ISREG(info.st_mode)) return Status::invalid("is not a regular file");
  if (const std::string problem = distrust(info); !problem.empty()) {
    return Status::invalid(problem);
  }
  const auto file_bytes = static_cast<uint64_t>(info.st_size);
  Trailer trailer{};
  if (file_bytes < sizeof trailer) return Status::invalid("is too short");
  const uint64_t image_bytes = file_bytes - sizeof trailer;
  if (pread(file.get(), &trailer, sizeof trailer, static_cast<off_t>(image_bytes)) !=
          static_cast<ssize_t>(sizeof trailer) ||
      trailer.magic != kMagic || trailer.image_bytes != image_bytes) {
    return Status::invalid("is not whole");
  }
  if (!std::equal(trailer.key.begin(), trailer.key.end(), key.begin(), key.end())) {
    return Status::invalid("holds another module's image");
  }
  Sha256 hash;
  Status status = read_pieces(file.get(), image_bytes, [&](std::span<const uint8_t> piece) {
    hash.update(piece);
    return Status::ok();
  });
  if (!status.is_ok()) return status;
  if (hash.finish() != trailer.digest) {
    return Status::invalid("is damaged: its checksum is wrong");
  }
  return Entry{std::move(file), image_bytes};
}

Result<Store::Entry> Store::put(const std::string& key, int image, uint64_t bytes) const {
  remove_stale_files();
  const int directory = directory_.get();
  const std::string temporary = key + std::string(kTemporarySuffix);
  const std::string name = key + ".cwasm";
  unlinkat(directory, temporary.c_str(), 0);
  UniqueFd file(openat(directory, temporary.c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return Status::io(errno_text("cannot be created", errno));

  Trailer trailer{};
  trailer.magic = kMagic;
  std::copy_n(key.begin(), std::min(key.size(), trailer.key.size()), trailer.key.begin());
  trailer.image_bytes = bytes;
  Sha256 hash;
  Status status = read_pieces(image, bytes, [&](std::span<const uint8_t> piece) {
    hash.update(piece);
    return write_all(file.get(), piece);
  });
  if (status.is_ok()) {
    trailer.digest = hash.finish();
    status = write_all(file.get(),
                       std::span(reinterpret_cast<const uint8_t*>(&trailer), sizeof trailer));
  }
  // Not synced: after a crash of the machine the checksum tells a torn file,
  // and it can always be made anew.
  UniqueFd reader;
  if (status.is_ok()) {
    reader.reset(openat(directory, temporary.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!reader.valid() || fchmod(file.get(), kFileMode) != 0 ||
        renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) {
      status = Status::io(errno_text("cannot be stored", errno));
    }
  }
  if (!status.is_ok()) {
    unlinkat(directory, temporary.c_str(), 0);
    return status;
  }
  return Entry{std::move(reader), bytes};
}

Result<Store::LockResult> Store::lock(const std::string& key, seconds limit,
                                      const std::function<void(unsigned)>& progress) const {
  const std::string name = key + ".lock";
  UniqueFd file(
      openat(directory_.get(), name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return Status::io(errno_text("cannot be written", errno));

  const Clock::time_point start = Clock::now();
  Clock::time_point next_progress = start + kProgressEvery;
  milliseconds pause = kLockPollFirst;
  while (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return Status::io(errno_text("cannot be locked", errno));
    }
    const Clock::time_point now = Clock::now();
    if (now - start >= limit) return LockResult{Wait::kTooLong, std::nullopt};
    if (now >= next_progress) {
      progress(static_cast<unsigned>(std::chrono::duration_cast<seconds>(now - start).count()));
      next_progress += kProgressEvery;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLockPollMost);
  }

  struct stat info {};
  if (fstat(file.get(), &info) != 0) return Status::io(errno_text("cannot be read", errno));
  if (info.st_nlink != 0) {
    // Left by a holder that died, perhaps while it wrote.
    if (ftruncate(file.get(), 0) != 0) return Status::io(errno_text("cannot be written", errno));
    return LockResult{Wait::kLocked, KeyLock(directory_.get(), name, std::move(file))};
  }
  std::array<char, 2048> text{};
  const ssize_t length = pread(file.get(), text.data(), text.size(), 0);
  if (length <= 0) return LockResult{Wait::kOtherDone, std::nullopt};
  const std::string message(text.data() + 1, static_cast<size_t>(length) - 1);
  LockResult failed{Wait::kOtherFailed, std::nullopt};
  switch (text[0] - '0') {
    case WASMRT_INVALID:
      failed.failure = Status::invalid(message);
      break;
    case WASMRT_RESOURCES:
      failed.failure = Status::resources(message);
      break;
    default:
      failed.failure = Status::io(message);
  }
  return failed;
}

void Store::remove_stale_files() const {
  const int copy = openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return;
  const auto close_directory = [](DIR* directory) { closedir(directory); };
  const std::unique_ptr<DIR, decltype(close_directory)> directory(fdopendir(copy), close_directory);
  if (directory == nullptr) {
    close(copy);
    return;
  }
  const time_t now = std::time(nullptr);
  while (const dirent* entry = readdir(directory.get())) {
    struct stat info {};
    if (std::string_view(entry->d_name).ends_with(kTemporarySuffix) &&
        fstatat(directory_.get(), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        now - info.st_mtime > kStaleSeconds) {
      unlinkat(directory_.get(), entry->d_name, 0);
    }
  }
}

}  // namespace wasmrt
