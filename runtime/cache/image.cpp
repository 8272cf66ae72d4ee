// SPDX-License-Identifier: Apache-2.0
#include "cache/image.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <optional>

#include "cache/compiler_process.h"
#include "cache/file_io.h"
#include "cache/sha256.h"
#include "cache/start_request.h"
#include "cache/store.h"
#include "engine/compiler.h"
#include "engine/module_info.h"
#include "support/text.h"

namespace wasmrt {
namespace {

constexpr uint64_t kDefaultCompilerMemory = uint64_t{4} << 30;
constexpr uint32_t kDefaultCompilerSeconds = 300;
/// How much longer than a compilation to wait for another process's one.
constexpr std::chrono::seconds kLockGrace{10};

/// For people.
std::string size_text(uint64_t bytes) {
  char text[32];
  if (bytes < 1000) {
    std::snprintf(text, sizeof text, "%u bytes", static_cast<unsigned>(bytes));
  } else if (bytes < 100'000) {
    std::snprintf(text, sizeof text, "%.1f kB", static_cast<double>(bytes) / 1e3);
  } else {
    std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  }
  return text;
}

/// Hashes a module into the name under which its image is kept. The first
/// bytes keep it apart from any other use of the hash.
class KeyHash {
 public:
  KeyHash(wasmrt_layout layout, const StartRequest* start) {
    hash_.update(std::string_view("mod_wasm image\0", 15));
    if (start != nullptr) hash_.update(start->key_text());
    hash_.update(compatibility_tag(layout));
    hash_.update(std::string_view("\0", 1));
  }
  void update(std::span<const uint8_t> bytes) { hash_.update(bytes); }
  std::string finish() { return to_hex(hash_.finish()); }

 private:
  Sha256 hash_;
};

/// A module's bytes as they were at one moment, in memory. What is compiled
/// must be what was hashed, whatever happens to the file meanwhile.
struct Snapshot {
  UniqueFd file;
  std::string key;
  uint64_t bytes = 0;
};

Result<uint64_t> size_of(int fd) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return Status::io(errno_text("cannot be read", errno));
  return static_cast<uint64_t>(info.st_size);
}

Result<Snapshot> take_snapshot(int module, wasmrt_layout layout, const StartRequest* start) {
  const Result<uint64_t> bytes = size_of(module);
  if (!bytes.is_ok()) return bytes.status();
  Result<UniqueFd> copy = make_memory_file("wasm-module");
  if (!copy.is_ok()) return copy.status();
  KeyHash hash(layout, start);
  Status status = read_pieces(module, bytes.value(), [&](std::span<const uint8_t> piece) {
    hash.update(piece);
    return write_all(copy.value().get(), piece);
  });
  if (status.is_ok()) status = seal_memory_file(copy.value().get());
  if (!status.is_ok()) return status;
  return Snapshot{copy.take(), hash.finish(), bytes.value()};
}

/// True for the first complaint of this process about a directory, so that a
/// server with many modules says it once. Remembers the last directory only:
/// a process has one.
bool first_complaint(const std::string& directory) {
  static std::atomic<size_t> last{0};
  const size_t hash = std::hash<std::string>()(directory) | 1;
  return last.exchange(hash) != hash;
}

/// The same about noexec, of which the parent's word suffices for all children.
bool first_complaint_of_noexec() {
  static std::atomic<bool> said{false};
  return !said.exchange(true);
}

}  // namespace

/// One call of Image::prepare().
class Preparation {
 public:
  Preparation(const wasmrt_cache_config& config, const std::string& path, const StartRequest* start)
      : config_(config), start_(start), name_(printable(path)) {
    image_.path_ = path;
    image_.layout_ = config.layout;
    if (config_.compiler_memory == 0) config_.compiler_memory = kDefaultCompilerMemory;
    if (config_.compiler_seconds == 0) config_.compiler_seconds = kDefaultCompilerSeconds;
  }

  Result<Image> run() {
    Result<UniqueFd> module = open_module_file(image_.path_);
    if (!module.is_ok()) return module.status();
    Status status = prepare(module.value().get());
    if (!status.is_ok()) return status.with_context(name_);
    return std::move(image_);
  }

 private:
  Status prepare(int module) {
    open_store();
    if (store_) {
      KeyHash hash(config_.layout, start_);
      const Result<uint64_t> bytes = size_of(module);
      if (!bytes.is_ok()) return bytes.status();
      Status status = read_pieces(module, bytes.value(), [&](std::span<const uint8_t> piece) {
        hash.update(piece);
        return Status::ok();
      });
      if (!status.is_ok()) return status;
      image_.key_ = hash.finish();
      image_.module_bytes_ = bytes.value();
      if (found_in_store()) return Status::ok();
    }

    Result<Snapshot> snapshot = take_snapshot(module, config_.layout, start_);
    if (!snapshot.is_ok()) return snapshot.status();
    image_.key_ = snapshot.value().key;
    image_.module_bytes_ = snapshot.value().bytes;
    ModuleInfo info;
    if (Status status = info.read(snapshot.value().file.get()); !status.is_ok()) return status;
    return compile_once(snapshot.value().file.get());
  }

  void open_store() {
    if (config_.directory == nullptr) return;
    Result<Store> store = Store::open(config_.directory);
    if (store.is_ok()) {
      store_ = store.take();
      if (store_->is_noexec() && first_complaint_of_noexec()) {
        say(WASMRT_LOG_WARNING, "the cache directory " + printable(config_.directory) +
                                    " is on a file system mounted noexec, so each process has "
                                    "compiled code in memory of its own");
      }
    } else {
      complain(store.status());
    }
  }

  bool found_in_store() {
    Result<std::optional<Store::Entry>> found = store_->find(image_.key_);
    if (!found.is_ok()) {
      say(WASMRT_LOG_WARNING, "the cached image of " + name_ + ", " + printable(config_.directory) +
                                  "/" + image_.key_ + ".cwasm, " + found.status().message() +
                                  "; it is made anew");
      return false;
    }
    if (!found.value()) return false;
    if (start_ != nullptr && !is_current(*found.value())) return false;
    image_.cached_ = true;
    keep(std::move(*found.value()));
    return true;
  }

  bool is_current(const Store::Entry& entry) {
    const Result<StartRecord> record = read_record(entry.file.get(), entry.image_bytes);
    const std::optional<std::string> why =
        record.is_ok() ? start_->outdated(record.value().made, record.value().files)
                       : record.status().message();
    if (why) say(WASMRT_LOG_INFO, "the start image of " + name_ + " is made anew: " + *why);
    return !why;
  }

  void keep(Store::Entry entry) {
    image_.file_ = std::move(entry.file);
    image_.image_bytes_ = entry.image_bytes;
    image_.on_disk_ = true;
  }

  /// Compiles unless another process does it just now.
  Status compile_once(int module) {
    while (store_) {
      Result<Store::LockResult> lock =
          store_->lock(image_.key_, std::chrono::seconds(config_.compiler_seconds) + kLockGrace,
                       [&](unsigned seconds) {
                         say(WASMRT_LOG_NOTICE, "waiting for another process that compiles " +
                                                    name_ + ", " + std::to_string(seconds) + " s");
                       });
      if (!lock.is_ok()) {
        complain(lock.status());
        return compile(module);
      }
      switch (lock.value().wait) {
        case Store::Wait::kOtherFailed:
          return lock.value().failure;
        case Store::Wait::kOtherDone:
          // It may have found no room to store it; then it is our turn.
          if (found_in_store()) return Status::ok();
          continue;
        case Store::Wait::kTooLong:
          say(WASMRT_LOG_WARNING, "another process has been compiling " + name_ +
                                      " for too long; compiling it without the cache");
          return compile(module);
        case Store::Wait::kLocked:
          break;
      }
      if (found_in_store()) return Status::ok();
      const Status status = compile(module);
      if (status.is_ok()) {
        store_image();
      } else {
        lock.value().lock->publish_failure(status);
      }
      return status;
    }
    return compile(module);
  }

  CompilerJob job() const {
    CompilerJob job;
    job.program = config_.compiler;
    job.uid = config_.compiler_uid;
    job.gid = config_.compiler_gid;
    job.memory_bytes = config_.compiler_memory;
    job.seconds = config_.compiler_seconds;
    return job;
  }

  /// Leaves the image in memory.
  Status compile(int module) {
    if (config_.compiler == nullptr) return Status::invalid("no compiler is configured");
    const auto begin = std::chrono::steady_clock::now();
    Status status = start_ == nullptr ? translate(module) : start_and_translate(module);
    if (!status.is_ok()) return status;
    image_.compile_seconds_ =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    char text[64];
    std::snprintf(text, sizeof text, " in %.1f s (%s of code%s)", image_.compile_seconds_,
                  size_text(image_.image_bytes_).c_str(), start_ == nullptr ? "" : " and data");
    say(WASMRT_LOG_NOTICE,
        (start_ == nullptr ? "compiled " : "started and compiled ") + name_ + text);
    return Status::ok();
  }

  Status translate(int module) {
    CompilerJob compiler = job();
    compiler.command = {"compile", "--layout",
                        config_.layout == WASMRT_LAYOUT_COMPACT ? "compact" : "reserved"};
    compiler.magic =
        "\x7f"
        "ELF";
    say(WASMRT_LOG_NOTICE, "compiling " + name_ + " (" + size_text(image_.module_bytes_) + ")");
    Result<UniqueFd> compiled = run_compiler(compiler, module, [&](unsigned seconds) {
      say(WASMRT_LOG_NOTICE, "still compiling " + name_ + ", " + std::to_string(seconds) + " s");
    });
    if (!compiled.is_ok()) return compiled.status();
    const Result<uint64_t> bytes = size_of(compiled.value().get());
    if (!bytes.is_ok()) return bytes.status();
    image_.file_ = compiled.take();
    image_.image_bytes_ = bytes.value();
    return Status::ok();
  }

  Status start_and_translate(int module) {
    CompilerJob starter = job();
    starter.command = start_->options();
    starter.words = start_->words();
    starter.environment = start_->variables();
    starter.magic = std::string_view("\0asm", 4);
    const int64_t made = std::time(nullptr);
    say(WASMRT_LOG_NOTICE, "starting " + name_ + " for its start image");
    std::string output;
    Result<UniqueFd> started = run_compiler(
        starter, module,
        [&](unsigned seconds) {
          say(WASMRT_LOG_NOTICE, "still starting " + name_ + ", " + std::to_string(seconds) + " s");
        },
        &output);
    if (!started.is_ok()) return started.status();
    if (!output.empty()) say(WASMRT_LOG_NOTICE, name_ + " wrote at its start: " + output);
    const Result<uint64_t> bytes = size_of(started.value().get());
    if (!bytes.is_ok()) return bytes.status();
    std::vector<uint8_t> wasm;
    wasm.reserve(bytes.value());
    Status status =
        read_pieces(started.value().get(), bytes.value(), [&](std::span<const uint8_t> piece) {
          wasm.insert(wasm.end(), piece.begin(), piece.end());
          return Status::ok();
        });
    if (!status.is_ok()) return status;
    Result<std::vector<OpenedFile>> files = opened_files(wasm);
    if (!files.is_ok()) return files.status();
    status = translate(started.value().get());
    if (!status.is_ok()) return status;
    Result<UniqueFd> whole = append_record(image_.file_.get(), image_.image_bytes_,
                                           {made, files.take()}, image_.image_bytes_);
    if (!whole.is_ok()) return whole.status();
    image_.file_ = whole.take();
    return Status::ok();
  }

  void store_image() {
    Result<Store::Entry> stored = store_->put(image_.key_, image_.file_.get(), image_.image_bytes_);
    if (stored.is_ok()) {
      keep(stored.take());
    } else {
      complain(stored.status());
    }
  }

  void complain(const Status& status) {
    if (!first_complaint(config_.directory)) return;
    say(WASMRT_LOG_WARNING, "the cache directory " + printable(config_.directory) + " " +
                                status.message() +
                                "; compiled code is kept in memory and made anew at each start");
  }

  void say(wasmrt_log_level level, const std::string& message) const {
    if (config_.log != nullptr) config_.log(config_.log_baton, level, message.c_str());
  }

  wasmrt_cache_config config_;
  const StartRequest* start_;  ///< null for a module as it is
  Image image_;
  std::string name_;
  std::optional<Store> store_;
};

Result<Image> Image::prepare(const wasmrt_cache_config& config, const std::string& path) {
  return Preparation(config, path, nullptr).run();
}

Result<Image> Image::prepare_started(const wasmrt_cache_config& config, const std::string& path,
                                     const StartRequest& start) {
  return Preparation(config, path, &start).run();
}

}  // namespace wasmrt
