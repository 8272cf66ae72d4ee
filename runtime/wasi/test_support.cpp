// SPDX-License-Identifier: Apache-2.0
#include "wasi/test_support.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

namespace wasmrt::wasi {

TemporaryDirectory::TemporaryDirectory() {
  std::string name = std::filesystem::temp_directory_path() / "wasi-test-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) std::abort();
  root_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

std::string TemporaryDirectory::path(std::string_view name) const {
  return name.empty() ? root_.string() : (root_ / name).string();
}

void TemporaryDirectory::write(std::string_view name, std::string_view content) const {
  std::ofstream(root_ / name, std::ios::binary) << content;
}

std::string TemporaryDirectory::read(std::string_view name) const {
  std::ifstream file(root_ / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool TemporaryDirectory::exists(std::string_view name) const {
  struct stat status;
  return lstat(path(name).c_str(), &status) == 0;
}

void TemporaryDirectory::make_directory(std::string_view name) const {
  std::filesystem::create_directories(root_ / name);
}

void TemporaryDirectory::make_link(std::string_view target, std::string_view name) const {
  std::filesystem::create_symlink(target, root_ / name);
}

void TemporaryDirectory::make_fifo(std::string_view name) const {
  if (mkfifo(path(name).c_str(), 0600) != 0) std::abort();
}

StreamResult FakeHost::read_stdin(std::span<uint8_t> buffer) {
  if (failure.stop != Stop::kNone || failure.error != 0) return failure;
  const size_t count = std::min(buffer.size(), input.size());
  std::memcpy(buffer.data(), input.data(), count);
  input.erase(0, count);
  return {.bytes = count};
}

StreamResult FakeHost::write_stdout(std::span<const uint8_t> bytes) {
  if (failure.stop != Stop::kNone || failure.error != 0) return failure;
  output.append(bytes.begin(), bytes.end());
  return {.bytes = bytes.size()};
}

StreamResult FakeHost::write_stderr(std::span<const uint8_t> bytes) {
  if (failure.stop != Stop::kNone || failure.error != 0) return failure;
  errors.append(bytes.begin(), bytes.end());
  return {.bytes = bytes.size()};
}

StreamResult FakeHost::flush_stdout() {
  ++flushes;
  return failure;
}

Stop FakeHost::check() {
  ++checks;
  if (on_check) on_check();
  return checks == stop_at_check ? stop_answer : Stop::kNone;
}

TestGuest::TestGuest(std::vector<Preopen> preopens, PathWalk walk, uint32_t max_descriptors)
    : preopens_(std::move(preopens)),
      memory_(kMemorySize),
      context({.arguments = &arguments,
               .preopens = preopens_,
               .max_descriptors = max_descriptors,
               .path_walk = walk},
              host) {}

Errno TestGuest::call(std::string_view module, std::string_view name,
                      std::initializer_list<uint64_t> values) {
  const HostFunction* function = find_host_function(module, name);
  if (function == nullptr) {
    ADD_FAILURE() << "no function " << name;
    return Errno::kNosys;
  }
  EXPECT_EQ(function->parameters.size(), values.size()) << name;
  std::vector<RawValue> raw(std::max<size_t>(values.size(), 1));
  size_t index = 0;
  for (const uint64_t value : values) raw[index++].i64 = static_cast<int64_t>(value);
  function->call(context, memory(), raw.data());
  return function->has_result ? static_cast<Errno>(raw[0].i32) : Errno::kSuccess;
}

Errno TestGuest::call(std::string_view name, std::initializer_list<uint64_t> values) {
  return call("wasi_snapshot_preview1", name, values);
}

Errno TestGuest::call_own(std::string_view name, std::initializer_list<uint64_t> values) {
  return call("mod_wasm", name, values);
}

Errno TestGuest::call_unstable(std::string_view name, std::initializer_list<uint64_t> values) {
  return call("wasi_unstable", name, values);
}

uint32_t TestGuest::allocate(uint32_t size) {
  const uint32_t ptr = next_;
  next_ += (size + 7) & ~uint32_t{7};
  if (next_ > kMemorySize) std::abort();
  std::memset(memory_.data() + ptr, 0, size);
  return ptr;
}

uint32_t TestGuest::store(std::string_view bytes) {
  const uint32_t ptr = allocate(static_cast<uint32_t>(bytes.size()));
  std::copy(bytes.begin(), bytes.end(), memory_.begin() + ptr);
  return ptr;
}

uint32_t TestGuest::store_vectors(const std::vector<Iovec>& vectors) {
  return store({reinterpret_cast<const char*>(vectors.data()), vectors.size() * sizeof(Iovec)});
}

std::string TestGuest::text(uint32_t ptr, uint32_t length) const {
  const auto text = memory().string(ptr, length);
  EXPECT_TRUE(text);
  return text ? std::string(*text) : std::string();
}

TestGuest::Opened TestGuest::open(uint32_t directory, std::string_view path, uint32_t open_flags,
                                  uint64_t rights_base, uint32_t fd_flags, uint32_t lookup) {
  const uint32_t fd = allocate(4);
  const Errno error = call("path_open", {directory, lookup, store(path), path.size(), open_flags,
                                         rights_base, 0, fd_flags, fd});
  return {error, load<uint32_t>(fd)};
}

uint32_t TestGuest::must_open(uint32_t directory, std::string_view path, uint32_t open_flags,
                              uint64_t rights_base, uint32_t fd_flags) {
  const Opened opened = open(directory, path, open_flags, rights_base, fd_flags);
  EXPECT_EQ(opened.error, Errno::kSuccess) << path;
  return opened.fd;
}

Errno TestGuest::path_call(std::string_view name, uint32_t directory, std::string_view path) {
  return call(name, {directory, store(path), path.size()});
}

Errno TestGuest::write(uint32_t fd, std::string_view bytes) {
  const uint32_t vectors = store_vectors({{store(bytes), static_cast<uint32_t>(bytes.size())}});
  return call("fd_write", {fd, vectors, 1, allocate(4)});
}

Errno TestGuest::read(uint32_t fd, uint32_t size, std::string& bytes) {
  const uint32_t buffer = allocate(size);
  const uint32_t count = allocate(4);
  const Errno error = call("fd_read", {fd, store_vectors({{buffer, size}}), 1, count});
  bytes = text(buffer, load<uint32_t>(count));
  return error;
}

Errno TestGuest::link(uint32_t old_fd, std::string_view old_path, uint32_t new_fd,
                      std::string_view new_path, uint32_t flags) {
  return call("path_link", {old_fd, flags, store(old_path), old_path.size(), new_fd,
                            store(new_path), new_path.size()});
}

Errno TestGuest::rename(uint32_t old_fd, std::string_view old_path, uint32_t new_fd,
                        std::string_view new_path) {
  return call("path_rename",
              {old_fd, store(old_path), old_path.size(), new_fd, store(new_path), new_path.size()});
}

Errno TestGuest::symlink(std::string_view target, uint32_t fd, std::string_view path) {
  return call("path_symlink", {store(target), target.size(), fd, store(path), path.size()});
}

Errno TestGuest::readlink(uint32_t fd, std::string_view path, std::string& target) {
  const uint32_t buffer = allocate(4096);
  const uint32_t used = allocate(4);
  const Errno error = call("path_readlink", {fd, store(path), path.size(), buffer, 4096, used});
  target = text(buffer, load<uint32_t>(used));
  return error;
}

Errno TestGuest::stat(uint32_t fd, std::string_view path, Filestat& filestat, uint32_t lookup) {
  const uint32_t out = allocate(sizeof(Filestat));
  const Errno error = call("path_filestat_get", {fd, lookup, store(path), path.size(), out});
  filestat = load<Filestat>(out);
  return error;
}

}  // namespace wasmrt::wasi
