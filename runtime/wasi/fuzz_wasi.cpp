// SPDX-License-Identifier: Apache-2.0
//
// libFuzzer target: sequences of WASI calls with arguments and memory that the
// fuzzer chooses, on a context with a writable and a read-only preopen. Beside
// what the sanitizers find it is an error if anything outside the preopens is
// read or anything outside the writable one is changed.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "wasi/context.h"
#include "wasi/table.h"

namespace {

using namespace wasmrt::wasi;
namespace fs = std::filesystem;

constexpr uint32_t kMemorySize = 64 * 1024;
// Strings that calls can point at lie here, one in each slot.
constexpr uint32_t kSlots = 32 * 1024;
constexpr uint32_t kSlotSize = 64;
constexpr std::string_view kSecret = "\xF1the-secret-outside";
constexpr std::string_view kReadOnly = "read-only-content";

constexpr std::string_view kPaths[] = {
    "file",      "file/",       "dir",       "dir/",      "dir/sub",    "dir/sub/../..",
    "..",        "../secret",   "dir/../..", "to_dir",    "to_dir/",    "to_dir/inner",
    "up",        "up/secret",   "up/",       "root_link", "root_link/", "root_link/etc",
    "loop",      "fifo",        "new",       "new/",      ".",          "./",
    "dir/inner", "dangling",    "dangling/", "new/x",     "../ro/file", "to_secret",
    "dir//sub/", "to_dir/../up"};

// libFuzzer learns what the library's own comparisons look for, and would
// write the secret into the guest's memory by itself: so none of them here.

bool same(std::string_view a, std::string_view b) {
  int difference = a.size() != b.size();
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) difference |= a[i] ^ b[i];
  return difference == 0;
}

bool contains_secret(std::string_view text) {
  for (size_t at = 0; (at = text.find(kSecret[0], at)) != text.npos; ++at) {
    if (same(text.substr(at, kSecret.size()), kSecret)) return true;
  }
  return false;
}

/// Streams that take and give anything, and a run that is over at once when it
/// begins to wait.
class FuzzHost : public Host {
 public:
  FuzzHost() { environment_.append("NAME=value"); }
  const StringBlock& environment() override { return environment_; }
  StreamResult read_stdin(std::span<uint8_t> buffer) override {
    std::ranges::fill(buffer, 'i');
    return {.bytes = buffer.size()};
  }
  StreamResult write_stdout(std::span<const uint8_t> bytes) override {
    return {.bytes = bytes.size()};
  }
  StreamResult write_stderr(std::span<const uint8_t> bytes) override {
    return {.bytes = bytes.size()};
  }
  StreamResult flush_stdout() override { return {}; }
  StreamInfo stream_info(int /*fd*/) const override { return {}; }
  Stop check() override { return Stop::kTimedOut; }
  int64_t deadline_ns() const override { return 0; }

 private:
  StringBlock environment_;
};

/// The file system that the guests get, made anew for each sequence.
class World {
 public:
  World() {
    std::string name = fs::temp_directory_path() / "fuzz-wasi-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    top_ = name;
    // Large files would only take time; to reach the limit is no error here.
    // Done with the first input, since libFuzzer has a handler of its own.
    constexpr rlimit kFileSize = {.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    setrlimit(RLIMIT_FSIZE, &kFileSize);
    signal(SIGXFSZ, SIG_IGN);
  }
  ~World() {
    unlock(top_);
    fs::remove_all(top_);
  }

  void make() {
    std::error_code ignored;
    for (const char* name : {"rw", "exec"}) {
      unlock(top_ / name);
      fs::remove_all(top_ / name, ignored);
    }
    fs::create_directories(top_ / "exec/dir");
    write("exec/file", "content");
    fs::create_directories(top_ / "rw/dir/sub");
    write("rw/file", "content");
    write("rw/dir/inner", "inner");
    fs::create_symlink("dir", top_ / "rw/to_dir");
    fs::create_symlink("..", top_ / "rw/up");
    fs::create_symlink("/", top_ / "rw/root_link");
    fs::create_symlink("loop", top_ / "rw/loop");
    fs::create_symlink("none", top_ / "rw/dangling");
    fs::create_symlink("../secret", top_ / "rw/to_secret");
    mkfifo((top_ / "rw/fifo").c_str(), 0600);
    if (made_) return;
    made_ = true;
    fs::create_directories(top_ / "ro/dir");
    write("ro/file", kReadOnly);
    write("secret", kSecret);
    chmod(path("ro/file").c_str(), kMode);
    chmod(path("secret").c_str(), kMode);
  }

  /// Ends the program if anything but "rw" and "exec" changed, or a file of "rw" can be executed.
  void check() const {
    expect(same(read("secret"), kSecret), "the file outside was changed");
    expect(same(read("ro/file"), kReadOnly), "the read-only file was changed");
    expect(count("") == 4, "something was made or removed outside");
    expect(count("ro") == 2 && count("ro/dir") == 0, "the read-only directory was changed");
    struct stat status;
    expect(stat((top_ / "ro/file").c_str(), &status) == 0 && status.st_nlink == 1,
           "the read-only file was linked");
    unlock(top_ / "rw");
    expect((status.st_mode & 07777) == kMode, "the read-only file's permissions were changed");
    expect(stat((top_ / "secret").c_str(), &status) == 0 && (status.st_mode & 07777) == kMode,
           "the permissions of the file outside were changed");
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(top_ / "rw")) {
      expect(lstat(entry.path().c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
                 (status.st_mode & 0111) == 0,
             "a file was made executable");
    }
  }

  [[nodiscard]] std::string path(std::string_view name) const { return top_ / name; }

  static void expect(bool holds, const char* message) {
    if (holds) return;
    std::fprintf(stderr, "%s\n", message);
    std::abort();
  }

 private:
  /// Gives directories back what guests took from them, so that they can be removed.
  static void unlock(const fs::path& directory) {
    std::error_code ignored;
    fs::permissions(directory, fs::perms::owner_all, fs::perm_options::add, ignored);
    for (auto entry = fs::recursive_directory_iterator(directory, ignored);
         entry != fs::recursive_directory_iterator(); entry.increment(ignored)) {
      if (!fs::is_directory(entry->symlink_status(ignored))) continue;
      fs::permissions(entry->path(), fs::perms::owner_all, fs::perm_options::add, ignored);
    }
  }
  void write(std::string_view name, std::string_view content) const {
    std::ofstream(top_ / name) << content;
  }
  [[nodiscard]] std::string read(std::string_view name) const {
    std::ifstream file(top_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] long count(std::string_view name) const {
    return std::distance(fs::directory_iterator(top_ / name), {});
  }

  static constexpr mode_t kMode = 0640;

  fs::path top_;
  bool made_ = false;
};

/// The fuzzer's bytes; zeroes when they are used up.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  [[nodiscard]] bool empty() const { return size_ == 0; }

  template <typename T>
  T take() {
    T value = 0;
    const size_t count = std::min(size_, sizeof(T));
    std::memcpy(&value, data_, count);
    data_ += count;
    size_ -= count;
    return value;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

uint64_t argument(Input& input) {
  switch (input.take<uint8_t>() % 8) {
    case 0:
    case 1:
      return input.take<uint8_t>() % 16;  // descriptors, flags
    case 2:
    case 3:
      return kSlots + input.take<uint8_t>() % std::size(kPaths) * kSlotSize;
    case 4:
      return input.take<uint8_t>();
    case 5:
      return input.take<uint16_t>();
    case 6:
      return input.take<uint32_t>();
    default:
      return input.take<uint64_t>();
  }
}

bool has_path_arguments(std::string_view name) { return name.starts_with("path_"); }

void run(World& world, Input& input) {
  FuzzHost host;
  StringBlock arguments;
  arguments.append("program");
  const std::array<Preopen, 3> preopens = {
      Preopen{"/", world.path("rw")}, Preopen{"/ro", world.path("ro"), true},
      Preopen{.guest_path = "/exec", .host_path = world.path("exec"), .exec = true}};
  const PathWalk walk = (input.take<uint8_t>() & 1) != 0 ? PathWalk::kOwn : PathWalk::kKernel;
  Context context({.arguments = &arguments,
                   .preopens = preopens,
                   .max_descriptors = 16,
                   .path_walk = walk},
                  host);
  // Of its exact size, so that the sanitizer sees what is past it.
  std::vector<uint8_t> memory(kMemorySize);
  memory.shrink_to_fit();
  for (size_t i = 0; i < std::size(kPaths); ++i) {
    kPaths[i].copy(reinterpret_cast<char*>(memory.data()) + kSlots + i * kSlotSize, kSlotSize);
  }
  const auto functions = host_functions();
  while (!input.empty() && context.stop() == Stop::kNone) {
    const uint8_t choice = input.take<uint8_t>();
    if (choice >= 0xF0) {  // the guest writes to its memory
      const uint16_t at = input.take<uint16_t>();
      const uint64_t value = input.take<uint64_t>();
      if (at <= kMemorySize - sizeof(value)) std::memcpy(memory.data() + at, &value, sizeof(value));
      continue;
    }
    const HostFunction& function = functions[choice % functions.size()];
    RawValue values[16] = {};
    for (size_t i = 0; i < function.parameters.size(); ++i) {
      values[i].i64 = static_cast<int64_t>(argument(input));
    }
    // Mostly the length that belongs to the path before it.
    if (has_path_arguments(function.name)) {
      for (size_t i = 1; i < function.parameters.size(); ++i) {
        const int64_t slot = (values[i - 1].i64 - kSlots) / kSlotSize;
        if (values[i - 1].i64 < kSlots || slot >= static_cast<int64_t>(std::size(kPaths))) continue;
        values[i].i64 = static_cast<int64_t>(kPaths[slot].size());
      }
    }
    function.call(context, {memory.data(), memory.size()}, values);
    World::expect(!contains_secret({reinterpret_cast<const char*>(memory.data()), memory.size()}),
                  "the file outside was read");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  world.make();
  Input input(data, size);
  run(world, input);
  world.check();
  return 0;
}
