// SPDX-License-Identifier: Apache-2.0
//
// Runs through the public ABI, with guests written in WAT.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "engine/settings.h"
#include "engine/time_slice.h"
#include "engine/wasmtime_handles.h"
#include "wasm_runtime.h"

namespace {

/// Standard streams kept in memory, with switches for what a server may meet.
struct Streams {
  std::vector<wasmrt_variable> environment;
  int asked_for_environment = 0;
  std::string input;
  size_t position = 0;
  std::string output;
  std::string error_output;
  int flushes = 0;
  bool client_gone = false;      // write says so
  std::atomic<bool> abort{false};  // aborted() says so
  int asked = 0;                   // how often aborted() was
  std::function<void()> when_asked;
  std::function<void()> when_written;
  std::vector<std::string> calls;

  static wasmrt_streams table() {
    wasmrt_streams streams{};
    streams.size = sizeof streams;
    for (int& descriptor : streams.descriptors) descriptor = -1;
    streams.read = [](void* baton, void* buffer, size_t length, uint32_t) -> int64_t {
      auto* self = static_cast<Streams*>(baton);
      const size_t count = std::min(length, self->input.size() - self->position);
      std::memcpy(buffer, self->input.data() + self->position, count);
      self->position += count;
      return static_cast<int64_t>(count);
    };
    streams.write = [](void* baton, const void* buffer, size_t length) {
      auto* self = static_cast<Streams*>(baton);
      if (self->client_gone) return -1;
      if (self->when_written) self->when_written();
      self->output.append(static_cast<const char*>(buffer), length);
      return 0;
    };
    streams.flush = [](void* baton) {
      ++static_cast<Streams*>(baton)->flushes;
      return 0;
    };
    streams.write_error = [](void* baton, const void* buffer, size_t length) {
      static_cast<Streams*>(baton)->error_output.append(static_cast<const char*>(buffer), length);
    };
    streams.aborted = [](void* baton) {
      auto* self = static_cast<Streams*>(baton);
      ++self->asked;
      if (self->when_asked) self->when_asked();
      return self->abort ? 1 : 0;
    };
    streams.environment = [](void* baton, const wasmrt_variable** variables) {
      auto* self = static_cast<Streams*>(baton);
      ++self->asked_for_environment;
      *variables = self->environment.data();
      return self->environment.size();
    };
    return streams;
  }
};

// The imports most guests below need, a memory, and a function that writes
// [ptr, ptr+len) to standard output.
constexpr const char* kPrelude = R"(
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file"
    (func $unlink (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func $print (param $ptr i32) (param $len i32)
    (i32.store (i32.const 0) (local.get $ptr))
    (i32.store (i32.const 4) (local.get $len))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
)";

class Run : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    char pattern[] = "/tmp/wasmrt-run-XXXXXX";
    directory_ = mkdtemp(pattern);
    chmod(directory_.c_str(), 0755);
    wasmrt_engine_config config{};
    config.size = sizeof config;
    config.max_instances = 4;
    config.wait_ms = 200;
    wasmrt_error error{};
    ASSERT_EQ(wasmrt_engine_create(&config, &engine_, &error), WASMRT_OK) << error.message;
  }
  static void TearDownTestSuite() {
    wasmrt_engine_destroy(engine_);
    engine_ = nullptr;
    std::filesystem::remove_all(directory_);
  }

  void TearDown() override {
    wasmrt_command_release(std::exchange(command_, nullptr));
    wasmrt_module_release(std::exchange(module_, nullptr));
    wasmrt_image_release(std::exchange(image_, nullptr));
  }

  /// Compiles `text` (the inside of a module, behind the prelude) and loads it.
  void load(const std::string& text) {
    const std::string wat = "(module " + std::string(kPrelude) + text + ")";
    wasm_byte_vec_t wasm;
    const wasmrt::ErrorHandle bad(wasmtime_wat2wasm(wat.data(), wat.size(), &wasm));
    ASSERT_FALSE(bad) << wasmrt::error_text(bad.get());
    const std::string path = directory_ + "/guest.wasm";
    std::ofstream(path, std::ios::binary).write(wasm.data, static_cast<long>(wasm.size));
    wasm_byte_vec_delete(&wasm);

    const std::string cache = directory_ + "/cache";
    wasmrt_cache_config config{};
    config.size = sizeof config;
    config.directory = cache.c_str();
    config.compiler = std::getenv("WASMCTL");
    config.compiler_uid = config.compiler_gid = -1;
    config.layout = layout_;
    ASSERT_NE(config.compiler, nullptr) << "WASMCTL must name the wasmctl program";
    wasmrt_error error{};
    ASSERT_EQ(wasmrt_image_prepare(&config, path.c_str(), &image_, &error), WASMRT_OK)
        << error.message;
    ASSERT_EQ(wasmrt_module_load(used_, image_, &module_, &error), WASMRT_OK) << error.message;
  }

  wasmrt_status make_command(wasmrt_command_config config = {}) {
    if (module_ == nullptr) return WASMRT_INVALID;  // load() has failed the test
    static const char* const kArguments[] = {"guest.wasm", "one", "two", nullptr};
    config.size = sizeof config;
    if (config.arguments == nullptr) config.arguments = kArguments;
    wasmrt_command_release(command_);
    command_ = nullptr;
    return wasmrt_command_create(module_, &config, &command_, &error_);
  }

  wasmrt_result run(Streams& streams, bool trace = false) {
    if (command_ == nullptr) return {};
    wasmrt_streams table = Streams::table();
    if (trace) {
      table.trace = [](void* baton, const char* line) {
        static_cast<Streams*>(baton)->calls.emplace_back(line);
      };
    }
    wasmrt_result result{};
    result.size = sizeof result;
    status_ = wasmrt_run(command_, &table, &streams, &result);
    return result;
  }

  wasmrt_result run_once(const std::string& text, wasmrt_limits limits = {}) {
    load(text);
    wasmrt_command_config config{};
    config.limits = limits;
    EXPECT_EQ(make_command(config), WASMRT_OK) << error_.message;
    return run(streams_);
  }

  static std::string directory_;
  static wasmrt_engine* engine_;
  wasmrt_engine* used_ = engine_;
  wasmrt_layout layout_ = WASMRT_LAYOUT_RESERVED;
  wasmrt_image* image_ = nullptr;
  wasmrt_module* module_ = nullptr;
  wasmrt_command* command_ = nullptr;
  wasmrt_error error_{};
  wasmrt_status status_ = WASMRT_OK;
  Streams streams_;
};

std::string Run::directory_;
wasmrt_engine* Run::engine_ = nullptr;

TEST_F(Run, WritesAndReturns) {
  const wasmrt_result result = run_once(R"(
    (data (i32.const 16) "hello")
    (func (export "_start") (call $print (i32.const 16) (i32.const 5))))");
  EXPECT_EQ(status_, WASMRT_OK);
  EXPECT_EQ(result.outcome, WASMRT_EXITED);
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_EQ(streams_.output, "hello");
  EXPECT_EQ(result.output_bytes, 5U);
  EXPECT_EQ(result.memory_bytes, 2U << 16);
  EXPECT_STREQ(result.message, "");
}

TEST_F(Run, GivesTheExitStatus) {
  const wasmrt_result result =
      run_once("(func (export \"_start\") (call $proc_exit (i32.const 42)) unreachable)");
  EXPECT_EQ(result.outcome, WASMRT_EXITED);
  EXPECT_EQ(result.exit_status, 42);
}

TEST_F(Run, TrapIsDataWithABacktrace) {
  const wasmrt_result result = run_once(R"(
    (func $inner unreachable)
    (func $outer (call $inner))
    (func $start (export "_start") (call $outer)))");
  EXPECT_EQ(status_, WASMRT_OK);
  EXPECT_EQ(result.outcome, WASMRT_TRAPPED);
  EXPECT_STREQ(result.message, "unreachable instruction executed");
  EXPECT_STREQ(result.backtrace, "inner <- outer <- start");
}

TEST_F(Run, DivisionByZeroTraps) {
  const wasmrt_result result = run_once(
      "(func (export \"_start\") (drop (i32.div_s (i32.const 1) (i32.load (i32.const 64)))))");
  EXPECT_EQ(result.outcome, WASMRT_TRAPPED);
  EXPECT_STREQ(result.message, "integer divide by zero");
}

TEST_F(Run, OutOfBoundsTraps) {
  const wasmrt_result result =
      run_once("(func (export \"_start\") (drop (i32.load (i32.const 0x7fffffff))))");
  EXPECT_EQ(result.outcome, WASMRT_TRAPPED);
  EXPECT_STREQ(result.message, "out of bounds memory access");
}

TEST_F(Run, StackOverflowTraps) {
  const wasmrt_result result = run_once(
      "(func $deep (export \"_start\") (call $deep) (drop (i32.load (i32.const 0))))");
  EXPECT_EQ(result.outcome, WASMRT_TRAPPED);
  EXPECT_EQ(std::string(result.message).find("stack overflow"), 0U) << result.message;
  EXPECT_EQ(result.limits_reached, uint32_t{WASMRT_LIMIT_STACK});
}

TEST_F(Run, EndlessLoopTimesOut) {
  wasmrt_limits limits{};
  limits.wall_ms = 100;
  const wasmrt_result result =
      run_once("(func (export \"_start\") (loop $again (br $again)))", limits);
  EXPECT_EQ(result.outcome, WASMRT_TIMED_OUT);
  EXPECT_STREQ(result.message, "time limit of 0.1 s reached");
  EXPECT_EQ(result.limits_reached, uint32_t{WASMRT_LIMIT_WALL});
}

// Each goes on for ever, or for longer than anyone waits. Plain loads stand where
// a compiler might take one of them for another.
constexpr const char* kEndless[] = {
    R"((func (export "_start") (loop $again (br $again))))",
    R"((func (export "_start") (loop $outer (loop $inner
         (drop (i32.load (i32.const 64))) (br $inner)) (br $outer))))",
    R"((func (export "_start")
         (loop $first (br_if $first (i32.load (i32.const 64))))
         (loop $second (br_if $second (i32.eqz (i32.load (i32.const 64)))))))",
    R"((func (export "_start") (drop (i32.const 7)
         (loop $again (param i32) (result i32) (br $again)))))",
    R"((func (export "_start") (loop $again (br_table $again $again $again (i32.const 1)))))",
    R"((func $twice (param i32) (if (local.get 0) (then
         (call $twice (i32.sub (local.get 0) (i32.const 1)))
         (call $twice (i32.sub (local.get 0) (i32.const 1))))))
       (func (export "_start") (call $twice (i32.const 100))))",
    R"((func $self (export "_start") (return_call $self)))",
    R"((type $plain (func)) (table funcref (elem $self))
       (func $self (export "_start") (return_call_indirect (type $plain) (i32.const 0))))",
    R"((type $plain (func)) (elem declare func $self)
       (func $self (export "_start") (return_call_ref $plain (ref.func $self))))",
    R"((tag $tag) (func $throw (throw $tag))
       (func (export "_start") (loop $again (try_table (catch $tag $again) (call $throw)))))",
    R"((func $endless (loop $again (br $again))) (start $endless) (func (export "_start")))",
};

class EndlessCode : public Run, public ::testing::WithParamInterface<const char*> {};

TEST_P(EndlessCode, TimesOut) {
  wasmrt_limits limits{};
  limits.wall_ms = 50;
  EXPECT_EQ(run_once(GetParam(), limits).outcome, WASMRT_TIMED_OUT);
}

TEST_P(EndlessCode, TimesOutInTheCompactLayout) {
  layout_ = WASMRT_LAYOUT_COMPACT;
  wasmrt_engine_config config{};
  config.size = sizeof config;
  config.layout = layout_;
  ASSERT_EQ(wasmrt_engine_create(&config, &used_, &error_), WASMRT_OK) << error_.message;
  wasmrt_limits limits{};
  limits.wall_ms = 50;
  EXPECT_EQ(run_once(GetParam(), limits).outcome, WASMRT_TIMED_OUT);
  wasmrt_engine_destroy(used_);
}

INSTANTIATE_TEST_SUITE_P(Run, EndlessCode, ::testing::ValuesIn(kEndless));

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

// Each takes many seconds without a loop: by long operations, or by calls, one behind the other.
const std::pair<const char*, std::string (*)()> kStraight[] = {
    {"Leaves",
     [] {
       return "(func $leaf (param $a i64) (result i64)" +
              repeated("(local.set $a (i64.div_u (i64.const -1) (i64.or (local.get $a) "
                       "(i64.const 1))))",
                       10'000) +
              "(local.get $a)) (func (export \"_start\") (local $a i64)" +
              repeated("(local.set $a (call $leaf (local.get $a)))", 50'000) + ")";
     }},
    {"Fill",
     [] {
       return "(func (export \"_start\") (drop (memory.grow (i32.const 2000)))" +
              repeated("(memory.fill (i32.const 0) (i32.const 1) (i32.const 131000000))", 500) +
              ")";
     }},
    {"Copy",
     [] {
       return "(func (export \"_start\") (drop (memory.grow (i32.const 2000)))" +
              repeated("(memory.copy (i32.const 0) (i32.const 65000000) (i32.const 65000000))",
                       500) +
              ")";
     }},
    {"Arrays",
     [] {
       return "(type $bytes (array (mut i8))) (func $use (param (ref $bytes)))"
              "(func (export \"_start\")" +
              repeated("(call $use (array.new $bytes (i32.const 1) (i32.const 60000000)))", 500) +
              ")";
     }},
    {"HostCalls",
     [] {
       return "(func (export \"_start\") (drop (memory.grow (i32.const 20)))" +
              repeated("(drop (call $random (i32.const 0) (i32.const 1000000)))", 2'000) + ")";
     }},
};

class StraightCode : public Run, public ::testing::WithParamInterface<size_t> {};

TEST_P(StraightCode, TimesOut) {
  const std::string_view name = kStraight[GetParam()].first;
  if (!wasmrt::kHasChecks && name != "Leaves" && name != "HostCalls") {
    GTEST_SKIP() << "Wasmtime's epochs count loops and functions only";
  }
  wasmrt_limits limits{};
  limits.wall_ms = 100;
  limits.memory_bytes = uint64_t{256} << 20;
  const wasmrt_result result = run_once(kStraight[GetParam()].second(), limits);
  EXPECT_EQ(result.outcome, WASMRT_TIMED_OUT) << result.message;
}

INSTANTIATE_TEST_SUITE_P(Run, StraightCode, ::testing::Range(size_t{0}, std::size(kStraight)),
                         [](const auto& info) { return kStraight[info.param].first; });

// A calculation that would go wrong if being asked changed a register.
TEST_F(Run, AskedGuestsGoOnAsTheyWere) {
  constexpr const char* kText = R"(
    (func (export "_start") (local $left i32) (local $l i64) (local $d f64) (local $v v128)
      (local.set $left (i32.const 300000000))
      (local.set $l (i64.const 1))
      (local.set $v (v128.const i32x4 1 2 3 4))
      (loop $again
        (local.set $l (i64.add (i64.mul (local.get $l) (i64.const 6364136223846793005))
                               (i64.const 1442695040888963407)))
        (local.set $d (f64.add (local.get $d) (f64.const 0.5)))
        (local.set $v (i32x4.add (local.get $v) (v128.const i32x4 1 3 5 7)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br_if $again (local.get $left)))
      (i64.store (i32.const 64) (local.get $l))
      (f64.store (i32.const 72) (local.get $d))
      (v128.store (i32.const 80) (local.get $v))
      (call $print (i32.const 64) (i32.const 32))))";
  load(kText);
  ASSERT_EQ(make_command(), WASMRT_OK) << error_.message;
  EXPECT_EQ(run(streams_).outcome, WASMRT_EXITED);
  EXPECT_GE(streams_.asked, 1) << "it ended too soon to be asked";

  struct {
    uint64_t l = 1;
    double d = 0;
    uint32_t v[4] = {1, 2, 3, 4};
  } expected;
  constexpr uint32_t kTurns = 300'000'000;
  for (uint32_t i = 0; i < kTurns; ++i) {
    expected.l = expected.l * 6364136223846793005U + 1442695040888963407U;
  }
  expected.d = 0.5 * kTurns;
  for (uint32_t i = 0; i < 4; ++i) expected.v[i] += kTurns * (2 * i + 1);
  ASSERT_EQ(streams_.output.size(), sizeof expected);
  EXPECT_EQ(std::memcmp(streams_.output.data(), &expected, sizeof expected), 0);
}

// What a filter of the server may do when output is flushed, on the same thread.
TEST_F(Run, AGuestMayRunWhileAnotherIsAsked) {
  load(R"(
    (func $endless (export "endless") (loop $again (br $again)))
    (func (export "trap") unreachable)
    (func (export "out_of_bounds") (drop (i32.load (i32.const -4))))
    (func (export "_start") (local $turns i64)
      (local.set $turns (i64.const 2000000000))
      (loop $again
        (local.set $turns (i64.sub (local.get $turns) (i64.const 1)))
        (br_if $again (i64.ne (local.get $turns) (i64.const 0))))
      (call $print (i32.const 16) (i32.const 1))))");
  std::vector<wasmrt_outcome> outcomes;
  std::vector<wasmrt_command*> commands;
  for (const char* entry_point : {"endless", "trap", "out_of_bounds"}) {
    wasmrt_command_config config{};
    config.size = sizeof config;
    static const char* const kArguments[] = {"guest.wasm", nullptr};
    config.arguments = kArguments;
    config.entry_point = entry_point;
    config.limits.wall_ms = 60;
    commands.push_back(nullptr);
    ASSERT_EQ(wasmrt_command_create(module_, &config, &commands.back(), &error_), WASMRT_OK)
        << error_.message;
  }
  streams_.when_asked = [&] {
    for (const wasmrt_command* command : commands) {
      Streams streams;
      const wasmrt_streams table = Streams::table();
      wasmrt_result result{};
      result.size = sizeof result;
      wasmrt_run(command, &table, &streams, &result);
      outcomes.push_back(result.outcome);
    }
  };
  ASSERT_EQ(make_command(), WASMRT_OK) << error_.message;
  EXPECT_EQ(run(streams_).outcome, WASMRT_EXITED);
  EXPECT_EQ(streams_.output.size(), 1U);
  ASSERT_GE(outcomes.size(), 3U) << "it ended too soon to be asked";
  for (size_t i = 0; i + 2 < outcomes.size(); i += 3) {
    EXPECT_EQ(outcomes[i], WASMRT_TIMED_OUT);
    EXPECT_EQ(outcomes[i + 1], WASMRT_TRAPPED);
    EXPECT_EQ(outcomes[i + 2], WASMRT_TRAPPED);
  }
  for (wasmrt_command* command : commands) wasmrt_command_release(command);
}

TEST_F(Run, ProcessorTimeIsLimitedApart) {
  wasmrt_limits limits{};
  limits.cpu_ms = 100;
  const wasmrt_result result =
      run_once("(func (export \"_start\") (loop $again (br $again)))", limits);
  EXPECT_EQ(result.outcome, WASMRT_TIMED_OUT);
  EXPECT_STREQ(result.message, "processor time limit of 0.1 s reached");
  EXPECT_EQ(result.limits_reached, uint32_t{WASMRT_LIMIT_CPU});
}

TEST_F(Run, LoopOfHostCallsTimesOut) {
  wasmrt_limits limits{};
  limits.wall_ms = 100;
  const wasmrt_result result = run_once(R"(
    (func (export "_start")
      (loop $again (call $print (i32.const 16) (i32.const 0)) (br $again))))",
                                        limits);
  EXPECT_EQ(result.outcome, WASMRT_TIMED_OUT);
}

TEST_F(Run, AbortEndsABusyGuest) {
  streams_.abort = true;
  const wasmrt_result result = run_once("(func (export \"_start\") (loop $again (br $again)))");
  EXPECT_EQ(result.outcome, WASMRT_ABORTED);
}

TEST_F(Run, LostClientEndsAWritingGuest) {
  streams_.client_gone = true;
  const wasmrt_result result = run_once(R"(
    (func (export "_start")
      (loop $again (call $print (i32.const 16) (i32.const 1)) (br $again))))");
  EXPECT_EQ(result.outcome, WASMRT_ABORTED);
}

TEST_F(Run, ManyVectorsInOneCallTimeOut) {
  load(R"(
    (func (export "_start") (local $at i32)
      (loop $next
        (i32.store (local.get $at) (i32.const 65536))
        (i32.store offset=4 (local.get $at) (i32.const 8192))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 8192))))
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const 9000)))))");
  wasmrt_command_config config{};
  config.limits.wall_ms = 100;
  ASSERT_EQ(make_command(config), WASMRT_OK);
  wasmrt_streams table = Streams::table();
  table.write = [](void*, const void*, size_t) {
    usleep(5'000);
    return 0;
  };
  wasmrt_result result{};
  result.size = sizeof result;
  wasmrt_run(command_, &table, &streams_, &result);
  EXPECT_EQ(result.outcome, WASMRT_TIMED_OUT) << result.message;
  EXPECT_LT(result.output_bytes, 1U << 20);
}

TEST_F(Run, OutputIsLimited) {
  wasmrt_limits limits{};
  limits.output_bytes = 1000;
  const wasmrt_result result = run_once(R"(
    (func (export "_start")
      (loop $again (call $print (i32.const 16) (i32.const 100)) (br $again))))",
                                        limits);
  EXPECT_EQ(result.outcome, WASMRT_OUTPUT_LIMIT);
  EXPECT_EQ(streams_.output.size(), 1000U);
  EXPECT_STREQ(result.message, "more output than the limit of 1000 bytes");
  EXPECT_EQ(result.limits_reached, uint32_t{WASMRT_LIMIT_OUTPUT});
}

TEST_F(Run, MemoryIsLimited) {
  wasmrt_limits limits{};
  limits.memory_bytes = 4 << 20;
  const wasmrt_result result = run_once(R"(
    (func (export "_start")
      (loop $again
        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
        (br $again))))",
                                        limits);
  EXPECT_EQ(result.outcome, WASMRT_OUT_OF_MEMORY);
  EXPECT_EQ(result.memory_bytes, 4U << 20);
  EXPECT_EQ(result.limits_reached, uint32_t{WASMRT_LIMIT_MEMORY});
}

TEST_F(Run, MemoryForObjectsIsLimited) {
  wasmrt_limits limits{};
  limits.memory_bytes = 16 << 20;
  limits.wall_ms = 30'000;
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  const wasmrt_result result = run_once(R"(
    (type $bytes (array (mut i8)))
    (rec (type $list (struct (field (ref null $list)) (field (ref $bytes)))))
    (func (export "_start") (local $all (ref null $list))
      (loop $again
        (local.set $all (struct.new $list
          (local.get $all) (array.new $bytes (i32.const 1) (i32.const 1048576))))
        (br $again))))",
                                        limits);
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  EXPECT_NE(result.outcome, WASMRT_EXITED);
  EXPECT_NE(result.outcome, WASMRT_TIMED_OUT);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 256L << 10) << result.message;
}

TEST_F(Run, TablesAreLimited) {
  const wasmrt_result result = run_once(R"(
    (table $table 1 funcref)
    (func (export "_start")
      (loop $again
        (br_if $again
          (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
      (if (i32.gt_u (table.size $table) (i32.const 100000)) (then unreachable))))");
  EXPECT_EQ(result.outcome, WASMRT_EXITED) << result.message;
}

/// What this process holds that is of no file, bytes.
long anonymous_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("RssAnon:", 0) == 0) return std::stol(line.substr(8)) << 10;
  }
  return 0;
}

TEST_F(Run, LargeTablesAreNotKept) {
  load(R"(
    (table $a 1 funcref) (table $b 1 funcref) (table $c 1 funcref) (table $d 1 funcref)
    (func $f) (elem declare func $f)
    (func (export "_start")
      (drop (table.grow $a (ref.func $f) (i32.const 99000)))
      (drop (table.grow $b (ref.func $f) (i32.const 99000)))
      (drop (table.grow $c (ref.func $f) (i32.const 99000)))
      (drop (table.grow $d (ref.func $f) (i32.const 99000)))
      (if (i32.lt_u (table.size $d) (i32.const 99000)) (then unreachable))))");
  ASSERT_EQ(make_command(), WASMRT_OK) << error_.message;
  const long before = anonymous_bytes();
  const wasmrt_result result = run(streams_);
  EXPECT_EQ(result.outcome, WASMRT_EXITED) << result.message;
  // Four times 99,000 pointers are 3 MiB.
  EXPECT_LT(anonymous_bytes() - before, 3L << 19);
}

TEST_F(Run, MemoryLimitBelowTheStartIsSaid) {
  wasmrt_limits limits{};
  limits.memory_bytes = 1 << 16;
  const wasmrt_result result = run_once("(func (export \"_start\"))", limits);
  EXPECT_EQ(status_, WASMRT_RESOURCES);
  EXPECT_EQ(result.outcome, WASMRT_OUT_OF_MEMORY);
  EXPECT_NE(std::string(result.message).find("65536 bytes"), std::string::npos) << result.message;
}

TEST_F(Run, ATrapOfSmallMemoryIsNotTakenForOutOfMemory) {
  wasmrt_limits limits{};
  limits.memory_bytes = 64 << 20;
  EXPECT_EQ(run_once("(func (export \"_start\") unreachable)", limits).outcome, WASMRT_TRAPPED);
}

// Copies standard input to standard output, 1,000 bytes at a time.
constexpr const char* kCat = R"(
  (func (export "_start")
    (loop $again
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 1000))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.load (i32.const 8))
        (then (call $print (i32.const 1024) (i32.load (i32.const 8))) (br $again))))))";

TEST_F(Run, StreamsPassAnyBytes) {
  for (int i = 0; i < 10'000; ++i) streams_.input.push_back(static_cast<char>(i * 7));
  const wasmrt_result result = run_once(kCat);
  EXPECT_EQ(result.outcome, WASMRT_EXITED);
  EXPECT_EQ(streams_.output, streams_.input);
  EXPECT_EQ(result.input_bytes, 10'000U);
}

// Prints the block behind the pointers that environ_get or args_get wrote.
std::string dump(const std::string& get) {
  return R"((func (export "_start")
    (drop (call $)" +
         get + R"(_sizes_get (i32.const 100) (i32.const 104)))
    (drop (call $)" +
         get + R"(_get (i32.const 4096) (i32.const 1024)))
    (call $print (i32.const 1024) (i32.load (i32.const 104)))))";
}

TEST_F(Run, ArgumentsReachTheGuest) {
  run_once(dump("args"));
  EXPECT_EQ(streams_.output, std::string("guest.wasm\0one\0two\0", 19));
}

TEST_F(Run, ConfiguredVariablesWinOverTheRequests) {
  load(dump("environ"));
  const wasmrt_variable configured[] = {{"B", "fixed"}, {"A", "\xff\xfe"}};
  wasmrt_command_config config{};
  config.environment = configured;
  config.environment_count = 2;
  ASSERT_EQ(make_command(config), WASMRT_OK);
  streams_.environment = {{"A", "from the request"}, {"C", ""}, {"AB", "x"}};
  run(streams_);
  EXPECT_EQ(streams_.output, std::string("B=fixed\0A=\xff\xfe\0C=\0AB=x\0", 21));
}

TEST_F(Run, VariablesAreMadeOnceForAGuestThatAsks) {
  run_once(dump("environ"));
  EXPECT_EQ(streams_.asked_for_environment, 1) << "for its size, and for the variables themselves";
}

TEST_F(Run, VariablesAreNotMadeForAGuestThatDoesNotAsk) {
  run_once(dump("args"));
  EXPECT_EQ(streams_.asked_for_environment, 0);
}

TEST_F(Run, NothingOfARunIsLeftForTheNext) {
  // Exits with what it finds in memory, a global and a table, and then marks
  // all three; the memory is grown and marked far out as well.
  load(R"(
    (global $mark (mut i32) (i32.const 0))
    (table 10 funcref)
    (elem declare func $print)
    (func (export "_start")
      (local $seen i32)
      (local.set $seen (i32.or (i32.load (i32.const 5000)) (global.get $mark)))
      (if (i32.eqz (ref.is_null (table.get (i32.const 3)))) (then (local.set $seen (i32.const 2))))
      (drop (memory.grow (i32.const 64)))
      (local.set $seen (i32.or (local.get $seen) (i32.load (i32.const 4000000))))
      (i32.store (i32.const 5000) (i32.const 1))
      (i32.store (i32.const 4000000) (i32.const 4))
      (global.set $mark (i32.const 8))
      (table.set (i32.const 3) (ref.func $print))
      (call $proc_exit (local.get $seen))))");
  ASSERT_EQ(make_command(), WASMRT_OK);
  for (int i = 0; i < 20; ++i) {
    const wasmrt_result result = run(streams_);
    ASSERT_EQ(result.outcome, WASMRT_EXITED);
    ASSERT_EQ(result.exit_status, 0) << "run " << i;
  }
}

TEST_F(Run, NothingOfALargeMemoryIsLeftForTheNext) {
  // Writes to each page of more memory than the pool keeps in place, and over
  // its own data.
  load(R"(
    (data (i32.const 70000) "\2a\00\00\00")
    (func (export "_start")
      (local $at i32)
      (local $seen i32)
      (drop (memory.grow (i32.const 130)))
      (local.set $seen (i32.xor (i32.load (i32.const 70000)) (i32.const 42)))
      (i32.store (i32.const 70000) (i32.const 43))
      (local.set $at (i32.const 2048))
      (loop $next
        (local.set $seen (i32.or (local.get $seen) (i32.load (local.get $at))))
        (i32.store (local.get $at) (i32.const 1))
        (local.set $at (i32.add (local.get $at) (i32.const 4096)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 8388608))))
      (call $proc_exit (local.get $seen))))");
  ASSERT_EQ(make_command(), WASMRT_OK);
  for (int i = 0; i < 20; ++i) {
    const wasmrt_result result = run(streams_);
    ASSERT_EQ(result.outcome, WASMRT_EXITED);
    ASSERT_EQ(result.exit_status, 0) << "run " << i;
  }
}

// What is clear is left as it is (deps/wasmtime/src/zero_fill.rs), which nobody may notice but by
// the memory that is used.
class Filling : public Run {
 protected:
  static constexpr uint32_t kPage = 4096;
  static constexpr uint32_t kBegin = 64 << 10;  // what is below holds the guest's own arguments
  static constexpr uint32_t kEnd = 256 << 10;

  /// Fills, with operands from standard input, a memory with content from there, and writes it out.
  static constexpr const char* kGuest = R"(
    (func $read (param $ptr i32) (param $len i32)
      (loop $more
        (i32.store (i32.const 0) (local.get $ptr))
        (i32.store (i32.const 4) (local.get $len))
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (local.set $ptr (i32.add (local.get $ptr) (i32.load (i32.const 8))))
        (local.set $len (i32.sub (local.get $len) (i32.load (i32.const 8))))
        (br_if $more (local.get $len))))
    (func $start (export "_start")
      (drop (memory.grow (i32.const 2)))
      (call $read (i32.const 16) (i32.const 12))
      (call $read (i32.const 65536) (i32.const 196608))
      (memory.fill (i32.load (i32.const 16)) (i32.load (i32.const 20)) (i32.load (i32.const 24)))
      (call $print (i32.const 65536) (i32.const 196608))))";

  wasmrt_result fill(uint32_t to, uint32_t value, uint32_t length, const std::string& content) {
    streams_.input.clear();
    streams_.position = 0;
    streams_.output.clear();
    for (const uint32_t operand : {to, value, length}) {
      streams_.input.append(reinterpret_cast<const char*>(&operand), sizeof operand);
    }
    streams_.input += content;
    return run(streams_);
  }
};

TEST_F(Filling, IsWhatTheInstructionSays) {
  for (const wasmrt_layout layout : {WASMRT_LAYOUT_RESERVED, WASMRT_LAYOUT_COMPACT}) {
    TearDown();
    layout_ = layout;
    if (layout == WASMRT_LAYOUT_COMPACT) {
      wasmrt_engine_config config{};
      config.size = sizeof config;
      config.max_instances = 1;
      config.layout = layout;
      ASSERT_EQ(wasmrt_engine_create(&config, &used_, &error_), WASMRT_OK) << error_.message;
    }
    load(kGuest);
    ASSERT_EQ(make_command(), WASMRT_OK);
    std::mt19937 random(5);
    const auto any = [&](uint32_t below) { return static_cast<uint32_t>(random() % below); };
    for (int i = 0; i < 400; ++i) {
      // Pages that are clear, full, or but for one byte clear.
      std::string content(kEnd - kBegin, '\0');
      for (uint32_t page = 0; page < content.size(); page += kPage) {
        const uint32_t kind = any(4);
        if (kind == 0) content.replace(page, kPage, kPage, 'x');
        if (kind == 1) content[page + any(kPage)] = 'x';
        if (kind == 2) content[page + (any(2) != 0 ? kPage - 1 : 0)] = 'x';
      }
      uint32_t to = kBegin + any(kEnd - kBegin);
      if (any(3) == 0) to &= ~(kPage - 1);
      uint32_t length = any(kEnd - to + 1);
      if (any(3) == 0) length &= ~(kPage - 1);
      if (any(8) == 0) length = kEnd - to;
      const uint32_t values[] = {0, 0, 0x100, 0xffffff00, 'y', 0xffffffff};
      const uint32_t value = values[any(6)];
      const wasmrt_result result = fill(to, value, length, content);
      ASSERT_EQ(result.outcome, WASMRT_EXITED) << result.message;
      content.replace(to - kBegin, length, length, static_cast<char>(value));
      ASSERT_TRUE(streams_.output == content) << to << ", " << value << ", " << length;
    }
  }
  TearDown();
  wasmrt_engine_destroy(used_);
}

TEST_F(Filling, OutOfBoundsTrapsWhereTheGuestDidIt) {
  load(kGuest);
  ASSERT_EQ(make_command(), WASMRT_OK);
  const std::pair<uint32_t, uint32_t> ranges[] = {
      {kEnd, 1},           {kEnd + 1, 0},          {kBegin, kEnd},          {kEnd - 65536, 65537},
      {0, 0xffffffff},     {0xffffffff, 0x10000},  {0xfffff000, 0x100000}, {0xffff0000, 0x10000},
      {kEnd, 0xffffffff},  {0x80000000, 0x80000000}};
  for (const auto& [to, length] : ranges) {
    const wasmrt_result result = fill(to, 0, length, std::string(kEnd - kBegin, 'x'));
    EXPECT_EQ(result.outcome, WASMRT_TRAPPED) << to << ", " << length;
    EXPECT_STREQ(result.message, "out of bounds memory access") << to << ", " << length;
    EXPECT_STREQ(result.backtrace, "start") << to << ", " << length;
  }
  EXPECT_EQ(fill(kEnd, 0, 0, std::string(kEnd - kBegin, 'x')).outcome, WASMRT_EXITED);
}

TEST_F(Filling, ReachesTheLastByteThatAnAddressNames) {
  wasmrt_limits limits{};
  limits.memory_bytes = uint64_t{4} << 30;
  const wasmrt_result result = run_once(R"(
    (func (export "_start")
      (drop (memory.grow (i32.const 65534)))
      (i64.store (i32.const 0xfffffff8) (i64.const -1))
      (i64.store (i32.const 0xfffe7ffc) (i64.const -1))
      (memory.fill (i32.const 0xfffe8000) (i32.const 0) (i32.const 0x18000))
      (if (i64.ne (i64.load (i32.const 0xfffffff8)) (i64.const 0)) (then unreachable))
      (if (i64.ne (i64.load (i32.const 0xfffe7ffc)) (i64.const 0xffffffff)) (then unreachable))))",
                                        limits);
  EXPECT_EQ(result.outcome, WASMRT_EXITED) << result.message;
}

TEST_F(Filling, WithZerosTakesNoMemory) {
  if (!wasmrt::kHasChecks) GTEST_SKIP() << "modules are compiled as they are";
  constexpr uint64_t kFilled = 256 << 20;
  load(R"(
    (func (export "_start")
      (drop (memory.grow (i32.const 4096)))
      (memory.fill (i32.const 131072) (i32.const 0) (i32.const 268435456))
      (call $print (i32.const 0) (i32.const 1))))");
  ASSERT_EQ(make_command(), WASMRT_OK);
  const auto resident = [] {
    uint64_t all = 0;
    uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> all >> pages;
    return pages * static_cast<uint64_t>(getpagesize());
  };
  for (int i = 0; i < 3; ++i) {
    const uint64_t before = resident();
    uint64_t after = 0;
    streams_.when_written = [&] { after = resident(); };
    ASSERT_EQ(run(streams_).outcome, WASMRT_EXITED);
    EXPECT_LT(after, before + kFilled / 16) << "run " << i;
    EXPECT_GT(after, 0U);
  }
}

// Memory that many runs have not written is read-only until one does. What reads into it may be
// the kernel, to whom that is an error.
class RunAndRead : public Run {
 protected:
  /// What a run at `entry_point` prints.
  std::string run_from(const char* entry_point) {
    const wasmrt_directory directories[] = {{"/", directory_.c_str(), WASMRT_ACCESS_READ}};
    wasmrt_command_config config{};
    config.entry_point = entry_point;
    config.directories = directories;
    config.directory_count = 1;
    if (make_command(config) != WASMRT_OK) return error_.message;
    wasmrt_streams table = Streams::table();
    table.read = [](void*, void* buffer, size_t length, uint32_t) -> int64_t {
      const int file = open((directory_ + "/file").c_str(), O_RDONLY);
      const ssize_t got = read(file, buffer, length);
      close(file);
      return got;
    };
    Streams streams;
    wasmrt_result result{};
    result.size = sizeof result;
    wasmrt_run(command_, &table, &streams, &result);
    EXPECT_EQ(result.outcome, WASMRT_EXITED) << result.message;
    return streams.output;
  }

  void test(const char* entry_point) {
    std::ofstream(directory_ + "/file") << "of a file";
    load(R"(
      (data (i32.const 100) "file")
      (func $read (param $fd i32)
        (i32.store (i32.const 0) (i32.const 70000))
        (i32.store (i32.const 4) (i32.const 100))
        (if (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
          (then unreachable))
        (call $print (i32.const 70000) (i32.load (i32.const 8))))
      (func (export "print") (call $print (i32.const 100) (i32.const 4)))
      (func (export "stream") (call $read (i32.const 0)))
      (func (export "path")
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 0)
                        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8))
          (then unreachable))
        (call $read (i32.load (i32.const 8)))))");
    for (int i = 0; i < 40; ++i) ASSERT_EQ(run_from("print"), "file");
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(run_from(entry_point), "of a file");
      EXPECT_EQ(run_from("print"), "file");
    }
  }
};

TEST_F(RunAndRead, AStreamIntoMemoryThatWasNotWrittenBefore) { test("stream"); }
TEST_F(RunAndRead, AFileIntoMemoryThatWasNotWrittenBefore) { test("path"); }

TEST_F(Run, TracesHostCallsWithTheirResults) {
  load(R"(
    (data (i32.const 16) "a\0ab")
    (func (export "_start")
      (call $print (i32.const 16) (i32.const 0))
      (drop (call $unlink (i32.const 77) (i32.const 16) (i32.const 3)))
      (drop (call $unlink (i32.const 77) (i32.const -1) (i32.const 3)))
      (call $proc_exit (i32.const 3))))");
  ASSERT_EQ(make_command(), WASMRT_OK);
  run(streams_, true);
  const std::vector<std::string> expected = {
      "fd_write(1, 0, 1, 8) = 0", "path_unlink_file(77, \"a\\x0ab\") = 8",
      "path_unlink_file(77, outside of memory) = 8", "proc_exit(3)"};
  EXPECT_EQ(streams_.calls, expected);
}

TEST_F(Run, MissingEntryPointIsNamed) {
  load("(func (export \"_start\"))");
  wasmrt_command_config config{};
  config.entry_point = "main";
  EXPECT_EQ(make_command(config), WASMRT_NOT_FOUND);
  EXPECT_NE(std::string(error_.message).find("\"main\""), std::string::npos) << error_.message;
}

TEST_F(Run, EntryPointOfAnotherTypeIsRefused) {
  load("(func (export \"run\") (param i32))");
  wasmrt_command_config config{};
  config.entry_point = "run";
  EXPECT_EQ(make_command(config), WASMRT_INVALID);
}

TEST_F(Run, ReactorIsInitializedBeforeItsEntryPoint) {
  load(R"(
    (global $ready (mut i32) (i32.const 0))
    (func (export "_initialize") (global.set $ready (i32.const 7)))
    (func (export "run") (call $proc_exit (global.get $ready))))");
  wasmrt_command_config config{};
  config.entry_point = "run";
  ASSERT_EQ(make_command(config), WASMRT_OK);
  EXPECT_EQ(run(streams_).exit_status, 7);
}

TEST_F(Run, StartFunctionMayCallTheHost) {
  const wasmrt_result result = run_once(R"(
    (data (i32.const 16) "early")
    (func $first (call $print (i32.const 16) (i32.const 5)))
    (start $first)
    (func (export "_start")))");
  EXPECT_EQ(result.outcome, WASMRT_EXITED);
  EXPECT_EQ(streams_.output, "early");
}

TEST_F(Run, BadConfigurationIsRefused) {
  load("(func (export \"_start\"))");
  const wasmrt_variable bad_names[] = {{"", "x"}, {"A=B", "x"}};
  for (const wasmrt_variable& bad : bad_names) {
    wasmrt_command_config config{};
    config.environment = &bad;
    config.environment_count = 1;
    EXPECT_EQ(make_command(config), WASMRT_INVALID);
  }
  const wasmrt_directory bad_directories[] = {{"/", "relative", WASMRT_ACCESS_WRITE},
                                              {"", "/tmp", WASMRT_ACCESS_WRITE}};
  for (const wasmrt_directory& bad : bad_directories) {
    wasmrt_command_config config{};
    config.directories = &bad;
    config.directory_count = 1;
    EXPECT_EQ(make_command(config), WASMRT_INVALID);
  }
}

TEST_F(Run, PastTheLastPlaceARunIsRefusedAfterItsWait) {
  load("(func (export \"_start\") (loop $again (br $again)))");
  wasmrt_command_config config{};
  config.limits.wall_ms = 60'000;
  ASSERT_EQ(make_command(config), WASMRT_OK);
  std::vector<std::thread> threads;
  Streams busy[4];
  for (Streams& streams : busy) {
    threads.emplace_back([this, &streams] {
      const wasmrt_streams table = Streams::table();
      wasmrt_result result{};
      result.size = sizeof result;
      while (wasmrt_run(command_, &table, &streams, &result) == WASMRT_BUSY) {
      }
    });
  }
  // Until all four places are taken, this one may still get one, and gives it
  // back at once.
  wasmrt_status last = WASMRT_OK;
  for (int i = 0; i < 200 && last != WASMRT_BUSY; ++i) {
    streams_.abort = true;
    run(streams_);
    last = status_;
  }
  EXPECT_EQ(last, WASMRT_BUSY);
  for (Streams& streams : busy) streams.abort = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(run(streams_).outcome, WASMRT_ABORTED);
  EXPECT_EQ(status_, WASMRT_OK);
}

TEST_F(Run, ManyThreadsRunOneCommand) {
  load(kCat);
  ASSERT_EQ(make_command(), WASMRT_OK);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t, &wrong] {
      for (int i = 0; i < 200; ++i) {
        Streams streams;
        streams.input = std::string(3000, static_cast<char>('a' + t));
        const wasmrt_streams table = Streams::table();
        wasmrt_result result{};
        result.size = sizeof result;
        if (wasmrt_run(command_, &table, &streams, &result) != WASMRT_OK ||
            result.outcome != WASMRT_EXITED || streams.output != streams.input) {
          ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Run, ACommandThatComputesForLongGetsLongTimeSlices) {
  const uint64_t before = wasmrt::time_slice_ns();
  if (before == 0) GTEST_SKIP() << "this kernel gives threads no slices of their own";
  if (prctl(PR_GET_SECCOMP) != 0) GTEST_SKIP() << "a filter here may forbid it";
  load(R"((data (i32.const 100) "x")
    (func (export "_start")
      (local $left i32)
      (local.set $left (i32.const 50000000))
      (loop $again
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (call $print (i32.const 100) (i32.const 1))))");
  ASSERT_EQ(make_command(), WASMRT_OK);
  wasmrt_streams table = Streams::table();
  table.write = [](void* baton, const void*, size_t) {
    *static_cast<uint64_t*>(baton) = wasmrt::time_slice_ns();
    return 0;
  };
  uint64_t meanwhile = 0;
  for (int i = 0; i < 20; ++i) {
    wasmrt_result result{};
    result.size = sizeof result;
    ASSERT_EQ(wasmrt_run(command_, &table, &meanwhile, &result), WASMRT_OK);
    ASSERT_EQ(result.outcome, WASMRT_EXITED) << result.message;
    EXPECT_EQ(wasmrt::time_slice_ns(), before);
    if (i == 0) {
      EXPECT_EQ(meanwhile, before);
    }
  }
  EXPECT_GT(meanwhile, before);
}

TEST_F(Run, AThreadWithTooLittleStackIsToldSo) {
  load("(func (export \"_start\"))");
  ASSERT_EQ(make_command(), WASMRT_OK);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 512 << 10);
  struct Call {
    wasmrt_command* command;
    wasmrt_status status;
    wasmrt_result result;
  } call{command_, WASMRT_OK, {}};
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, &attributes,
                [](void* data) -> void* {
                  auto* c = static_cast<Call*>(data);
                  Streams streams;
                  const wasmrt_streams table = Streams::table();
                  c->result.size = sizeof c->result;
                  c->status = wasmrt_run(c->command, &table, &streams, &c->result);
                  return nullptr;
                },
                &call),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  EXPECT_EQ(call.status, WASMRT_RESOURCES);
  EXPECT_EQ(call.result.outcome, WASMRT_FAILED);
  EXPECT_NE(std::string(call.result.message).find("ThreadStackSize"), std::string::npos);
}

TEST(Engine, RefusesImpossibleSettings) {
  wasmrt_engine* engine = nullptr;
  wasmrt_error error{};
  wasmrt_engine_config config{};
  config.size = sizeof config;
  config.max_instances = 1'000'000;
  EXPECT_EQ(wasmrt_engine_create(&config, &engine, &error), WASMRT_INVALID) << error.message;
  config.max_instances = 1;
  config.stack_bytes = 1;
  EXPECT_EQ(wasmrt_engine_create(&config, &engine, &error), WASMRT_INVALID) << error.message;
}

TEST(Engine, TellsWhenTheAddressSpaceIsTooSmall) {
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  rlimit small = before;
  small.rlim_cur = uint64_t{8} << 30;
  ASSERT_EQ(setrlimit(RLIMIT_AS, &small), 0);
  wasmrt_engine_config config{};
  config.size = sizeof config;
  config.max_instances = 64;
  wasmrt_engine* engine = nullptr;
  wasmrt_error error{};
  const int fits = wasmrt_layout_fits(64);
  const wasmrt_status reserved = wasmrt_engine_create(&config, &engine, &error);
  config.layout = WASMRT_LAYOUT_COMPACT;
  wasmrt_engine* compact = nullptr;
  wasmrt_error compact_error{};
  const wasmrt_status compact_status = wasmrt_engine_create(&config, &compact, &compact_error);
  setrlimit(RLIMIT_AS, &before);
  EXPECT_EQ(fits, 0);
  EXPECT_EQ(reserved, WASMRT_RESOURCES);
  EXPECT_NE(std::string(error.message).find("address space"), std::string::npos) << error.message;
  EXPECT_EQ(compact_status, WASMRT_OK) << compact_error.message;
  wasmrt_engine_destroy(compact);
}

TEST(Abi, VersionsAreSaid) {
  EXPECT_EQ(wasmrt_abi_version(), WASMRT_ABI_VERSION);
  EXPECT_EQ(std::string(wasmrt_engine_version()).find("Wasmtime "), 0U);
}

}  // namespace
