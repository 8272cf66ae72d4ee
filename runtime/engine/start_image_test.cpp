// SPDX-License-Identifier: Apache-2.0
//
// Start images through the public ABI, with guests written in WAT.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cache/start_request.h"
#include "engine/pre_initialize.h"
#include "engine/wasmtime_handles.h"

namespace wasmrt {
namespace {

// The init function leaves a mark in memory and in a global and reads
// "/data/list" (fd 3 is the preopen); the entry point exits with their sum and
// the list's first byte.
constexpr const char* kGuest = R"((module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (global $mark (mut i32) (i32.const 0))
  (data (i32.const 16) "list")
  (data (i32.const 2000) "two\nlines\1b\ff\n\n")
  (func $load
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0)
                      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)))
    (i32.store (i32.const 40) (i32.const 64))
    (i32.store (i32.const 44) (i32.const 1))
    (drop (call $read (i32.load (i32.const 32)) (i32.const 40) (i32.const 1) (i32.const 48))))
  (func (export "wizer-initialize")
    (global.set $mark (i32.const 3))
    (i32.store (i32.const 1000) (i32.const 4))
    (drop (memory.grow (i32.const 3)))
    (i32.store (i32.const 200000) (i32.const 5))
    (call $load)
    (drop (call $close (i32.load (i32.const 32)))))
  (func (export "init-writes")
    (i32.store (i32.const 40) (i32.const 2000))
    (i32.store (i32.const 44) (i32.const 13))
    (drop (call $write (i32.const 2) (i32.const 40) (i32.const 1) (i32.const 48))))
  (func (export "init-floods") (local $count i32)
    (i32.store (i32.const 40) (i32.const 2000))
    (i32.store (i32.const 44) (i32.const 60000))
    (loop $again
      (drop (call $write (i32.const 1) (i32.const 40) (i32.const 1) (i32.const 48)))
      (br_if $again (i32.lt_u (local.tee $count (i32.add (local.get $count) (i32.const 1)))
                              (i32.const 100)))))
  (func (export "init-fails") unreachable)
  (func (export "init-exits") (call $exit (i32.const 9)))
  (func (export "init-keeps-a-file") (call $load))
  (func (export "init-has-a-parameter") (param i32))
  (func (export "_start")
    (call $exit (i32.add (i32.add (global.get $mark) (i32.load (i32.const 1000)))
                         (i32.add (i32.load8_u (i32.const 64))
                                  (i32.mul (memory.size) (i32.const 10)))))))
)";

class StartImage : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/wasmrt-start-XXXXXX";
    directory_ = mkdtemp(pattern);
    chmod(directory_.c_str(), 0755);
    std::filesystem::create_directory(directory_ + "/data");
    write("data/list", "!");  // 33
    wasm_byte_vec_t wasm;
    const ErrorHandle bad(wasmtime_wat2wasm(kGuest, std::strlen(kGuest), &wasm));
    ASSERT_FALSE(bad) << error_text(bad.get());
    write("guest.wasm", {wasm.data, wasm.size});
    wasm_byte_vec_delete(&wasm);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name, std::ios::binary)
        .write(text.data(), static_cast<long>(text.size()));
  }

  wasmrt_command_config command(const char* init) {
    directories_[0] = {"/data", data_path_.assign(directory_ + "/data").c_str(), WASMRT_ACCESS_READ};
    wasmrt_command_config config{};
    config.size = sizeof config;
    config.arguments = kArguments;
    config.directories = directories_;
    config.directory_count = 1;
    config.entry_point = init;
    return config;
  }

  wasmrt_status prepare(const char* init = nullptr, uint32_t max_age = 0) {
    wasmrt_image_release(image_);
    image_ = nullptr;
    const std::string cache_path = directory_ + "/cache";
    const std::string module_path = directory_ + "/guest.wasm";
    wasmrt_cache_config cache{};
    cache.size = sizeof cache;
    cache.directory = cache_path.c_str();
    cache.compiler = std::getenv("WASMCTL");
    cache.compiler_uid = cache.compiler_gid = -1;
    cache.log = [](void* baton, wasmrt_log_level, const char* message) {
      static_cast<std::vector<std::string>*>(baton)->emplace_back(message);
    };
    cache.log_baton = &log_;
    const wasmrt_command_config config = command(init);
    return wasmrt_start_image_prepare(&cache, module_path.c_str(), &config, max_age, &image_,
                                      &error_);
  }

  bool cached() {
    wasmrt_image_info info{};
    info.size = sizeof info;
    wasmrt_image_describe(image_, &info);
    return info.cached != 0;
  }

  int run() {
    wasmrt_engine_config engine_config{};
    engine_config.size = sizeof engine_config;
    engine_config.max_instances = 1;
    wasmrt_engine* engine = nullptr;
    wasmrt_module* module = nullptr;
    wasmrt_command* runnable = nullptr;
    EXPECT_EQ(wasmrt_engine_create(&engine_config, &engine, &error_), WASMRT_OK) << error_.message;
    EXPECT_EQ(wasmrt_module_load(engine, image_, &module, &error_), WASMRT_OK) << error_.message;
    const wasmrt_command_config config = command(nullptr);
    EXPECT_EQ(wasmrt_command_create(module, &config, &runnable, &error_), WASMRT_OK)
        << error_.message;
    wasmrt_streams streams{};
    streams.size = sizeof streams;
    for (int& descriptor : streams.descriptors) descriptor = -1;
    streams.read = [](void*, void*, size_t, uint32_t) -> int64_t { return 0; };
    streams.write = [](void*, const void*, size_t) { return 0; };
    streams.flush = [](void*) { return 0; };
    streams.write_error = [](void*, const void*, size_t) {};
    streams.aborted = [](void*) { return 0; };
    wasmrt_result result{};
    result.size = sizeof result;
    EXPECT_EQ(wasmrt_run(runnable, &streams, nullptr, &result), WASMRT_OK)
        << result.message;
    EXPECT_EQ(result.outcome, WASMRT_EXITED) << result.message;
    wasmrt_command_release(runnable);
    wasmrt_module_release(module);
    wasmrt_engine_destroy(engine);
    return result.exit_status;
  }

  static constexpr const char* kArguments[] = {"guest.wasm", nullptr};
  std::string directory_;
  std::string data_path_;
  wasmrt_directory directories_[1] = {};
  wasmrt_image* image_ = nullptr;
  wasmrt_error error_{};
  std::vector<std::string> log_;
};

TEST_F(StartImage, ContinuesWhereInitEnded) {
  ASSERT_EQ(prepare(), WASMRT_OK) << error_.message;
  EXPECT_FALSE(cached());
  EXPECT_EQ(run(), 3 + 4 + '!' + 40);
  wasmrt_image_release(image_);
  image_ = nullptr;
}

TEST_F(StartImage, IsFoundAgainUntilAFileItOpenedChanges) {
  ASSERT_EQ(prepare(), WASMRT_OK) << error_.message;
  ASSERT_EQ(prepare(), WASMRT_OK) << error_.message;
  EXPECT_TRUE(cached());
  write("data/list", "#and more");
  log_.clear();
  ASSERT_EQ(prepare(), WASMRT_OK) << error_.message;
  EXPECT_FALSE(cached());
  ASSERT_FALSE(log_.empty());
  EXPECT_NE(log_[0].find("data/list has changed"), std::string::npos) << log_[0];
  EXPECT_EQ(run(), 3 + 4 + '#' + 40);
  wasmrt_image_release(image_);
  image_ = nullptr;
}

TEST_F(StartImage, OtherFilesDoNotMatter) {
  ASSERT_EQ(prepare(), WASMRT_OK) << error_.message;
  write("data/other", "x");
  write("data/other", "y");
  ASSERT_EQ(prepare(), WASMRT_OK) << error_.message;
  EXPECT_TRUE(cached());
  wasmrt_image_release(image_);
  image_ = nullptr;
}

TEST_F(StartImage, TellsWhyThereIsNone) {
  EXPECT_EQ(prepare("init-fails"), WASMRT_INVALID);
  EXPECT_NE(std::string(error_.message).find("unreachable"), std::string::npos) << error_.message;
  EXPECT_EQ(prepare("init-exits"), WASMRT_INVALID);
  EXPECT_NE(std::string(error_.message).find("status 9"), std::string::npos) << error_.message;
  EXPECT_EQ(prepare("init-keeps-a-file"), WASMRT_INVALID);
  EXPECT_NE(std::string(error_.message).find("1 files open"), std::string::npos) << error_.message;
  EXPECT_EQ(prepare("init-has-a-parameter"), WASMRT_INVALID);
  EXPECT_NE(prepare("nowhere"), WASMRT_OK);
  EXPECT_NE(std::string(error_.message).find("\"nowhere\""), std::string::npos) << error_.message;
}

TEST_F(StartImage, WhatInitWritesIsLogged) {
  ASSERT_EQ(prepare(), WASMRT_OK) << error_.message;
  for (const std::string& line : log_) EXPECT_EQ(line.find("wrote"), std::string::npos) << line;
  log_.clear();
  ASSERT_EQ(prepare("init-writes"), WASMRT_OK) << error_.message;
  const auto wrote = [](const std::string& line) { return line.find("wrote") != std::string::npos; };
  auto line = std::ranges::find_if(log_, wrote);
  ASSERT_NE(line, log_.end());
  EXPECT_NE(line->find(" wrote at its start: two; lines"), std::string::npos) << *line;
  EXPECT_EQ(line->find('\n'), std::string::npos);
  EXPECT_EQ(line->find('\x1b'), std::string::npos);
  log_.clear();
  ASSERT_EQ(prepare("init-floods"), WASMRT_OK) << error_.message;
  line = std::ranges::find_if(log_, wrote);
  ASSERT_NE(line, log_.end());
  EXPECT_LT(line->size(), 1000U);
  wasmrt_image_release(image_);
  image_ = nullptr;
}

// What a sparse image would cost each instance is the copying of all data; the engine maps it
// only where it is half full (ALWAYS_MAPPED in deps/wasmtime/src/lib.rs).
TEST(Density, ASparseImageIsFilledWithZeros) {
  constexpr const char* kSparse = R"((module
    (memory (export "memory") 1024)
    (data (i32.const 16) "begin")
    (func (export "wizer-initialize")
      (i32.store8 (i32.const 1000) (i32.const 7))
      (i32.store8 (i32.const 50000000) (i32.const 8)))
    (func (export "_start")
      (if (i32.ne (i32.load8_u (i32.const 50000000)) (i32.const 8)) (then unreachable)))))";
  wasm_byte_vec_t wasm;
  const ErrorHandle bad(wasmtime_wat2wasm(kSparse, std::strlen(kSparse), &wasm));
  ASSERT_FALSE(bad) << error_text(bad.get());
  wasmrt_command_config command{};
  command.size = sizeof command;
  const char* const arguments[] = {"guest.wasm", nullptr};
  command.arguments = arguments;
  const auto made =
      pre_initialize({reinterpret_cast<const uint8_t*>(wasm.data), wasm.size}, command);
  wasm_byte_vec_delete(&wasm);
  ASSERT_TRUE(made.is_ok()) << made.status().message();
  // Half of the 50 MB between the first byte and the last, and little more.
  EXPECT_GT(made.value().module.size(), 25'000'000U);
  EXPECT_LT(made.value().module.size(), 25'010'000U);

  const EngineHandle engine(wasm_engine_new());
  wasmtime_module_t* module = nullptr;
  const std::vector<uint8_t>& wasm_made = made.value().module;
  const ErrorHandle invalid(
      wasmtime_module_new(engine.get(), wasm_made.data(), wasm_made.size(), &module));
  ASSERT_FALSE(invalid) << error_text(invalid.get());
  const ModuleHandle owned(module);
  const StoreHandle store(wasmtime_store_new(engine.get(), nullptr, nullptr));
  wasmtime_context_t* context = wasmtime_store_context(store.get());
  wasmtime_instance_t instance;
  wasm_trap_t* trap = nullptr;
  const ErrorHandle failed(wasmtime_instance_new(context, module, nullptr, 0, &instance, &trap));
  ASSERT_FALSE(failed || trap != nullptr);
  wasmtime_extern_t memory;
  ASSERT_TRUE(wasmtime_instance_export_get(context, &instance, "memory", 6, &memory));
  const uint8_t* bytes = wasmtime_memory_data(context, &memory.of.memory);
  EXPECT_EQ(std::memcmp(bytes + 16, "begin", 5), 0);
  EXPECT_EQ(bytes[1000], 7);
  EXPECT_EQ(bytes[1001], 0);
  EXPECT_EQ(bytes[50'000'000], 8);
}

TEST(StartRecord, IsOutdatedByAge) {
  const char* const arguments[] = {"x", nullptr};
  wasmrt_command_config config{};
  config.arguments = arguments;
  EXPECT_TRUE(StartRequest(config, 10).outdated(std::time(nullptr) - 11, {}));
  EXPECT_FALSE(StartRequest(config, 1000).outdated(std::time(nullptr), {}));
  EXPECT_FALSE(StartRequest(config, 0).outdated(0, {}));
}

TEST(StartRecord, FilesSurviveAsText) {
  const std::vector<OpenedFile> files = {{"/a b\nc", 1, 2, 3, -4, 5}, {"/x", 0, 0, 0, 0, 0}};
  const std::string text = files_text(files);
  auto read = parse_files(text);
  ASSERT_TRUE(read.is_ok());
  ASSERT_EQ(read.value().size(), 2U);
  EXPECT_EQ(read.value()[0].path, "/a b\nc");
  EXPECT_EQ(read.value()[0].modified_ns, -4);
  for (size_t cut = 1; cut < text.size(); ++cut) {
    // Never more than what is whole; never a crash.
    const auto part = parse_files(std::string_view(text).substr(0, cut));
    if (part.is_ok()) {
      EXPECT_LE(part.value().size(), 1U);
    }
  }
  EXPECT_FALSE(parse_files(std::string_view("1 2 3 4 5 relative\0", 19)).is_ok());
  EXPECT_FALSE(parse_files(std::string_view("nonsense\0", 9)).is_ok());
}

TEST(OpenedFiles, GarbageIsNoStartImage) {
  const std::vector<std::vector<uint8_t>> garbage = {
      {},
      {0, 'a', 's', 'm', 1, 0, 0, 0},
      {0, 'a', 's', 'm', 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f},
      {0, 'a', 's', 'm', 1, 0, 0, 0, 0, 2, 0xff, 0xff},
      {0, 'a', 's', 'm', 1, 0, 0, 0, 0, 0x80},
  };
  for (const std::vector<uint8_t>& wasm : garbage) EXPECT_FALSE(opened_files(wasm).is_ok());
}

}  // namespace
}  // namespace wasmrt
