// SPDX-License-Identifier: Apache-2.0
//
// Instances that are used again. That nothing of a run shows in the next one,
// run_test.cpp tests through the public ABI as well.
#include "engine/instance.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>

#include "cache/image.h"
#include "engine/engine.h"
#include "engine/engine_parts.h"
#include "engine/module.h"
#include "engine/module_parts.h"
#include "engine/settings.h"
#include "engine/wasmtime_bridge.h"
#include "engine/written_pages.h"
#include "wasi/test_support.h"

namespace wasmrt {
namespace {

using namespace std::chrono_literals;
using wasi::FakeHost;
using wasi::TemporaryDirectory;

std::string wasm_of(const std::string& text) {
  const std::string wat = "(module " + text + ")";
  wasm_byte_vec_t bytes;
  const ErrorHandle bad(wasmtime_wat2wasm(wat.data(), wat.size(), &bytes));
  EXPECT_FALSE(bad) << error_text(bad.get());
  std::string wasm(bytes.data, bytes.size);
  wasm_byte_vec_delete(&bytes);
  return wasm;
}

constexpr uint64_t kMemoryLimit = 64 << 20;

class Rewinding : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!knows_written_pages()) GTEST_SKIP() << "needs PAGEMAP_SCAN (Linux 6.7)";
    wasmrt_engine_config config{};
    config.size = sizeof config;
    config.max_instances = 4;
    auto engine = Engine::create(config);
    ASSERT_TRUE(engine.is_ok());
    engine_ = engine.take();
  }

  Result<Image> image_of(const std::string& text) {
    directory_.write("guest.wasm", wasm_of(text));
    const std::string cache = directory_.path("cache");
    wasmrt_cache_config config{};
    config.size = sizeof config;
    config.directory = cache.c_str();
    config.compiler = std::getenv("WASMCTL");
    config.compiler_uid = config.compiler_gid = -1;
    return Image::prepare(config, directory_.path("guest.wasm"));
  }

  /// An instance of the module with this inside.
  void load(const std::string& text) {
    Result<Image> image = image_of(text);
    ASSERT_TRUE(image.is_ok()) << image.status().message();
    auto module = Module::load(engine_, image.value());
    ASSERT_TRUE(module.is_ok()) << module.status().message();
    instance_.reset();
    module_ = module.take();
    instance_ = Instance::create(*module_, kMemoryLimit);
  }

  Ending call(std::string_view name) {
    instance_->begin(context_, streams_, nullptr);
    Ending end;
    if (!instance_->instantiate(end)) return end;
    return instance_->call(name);
  }

  TemporaryDirectory directory_;
  FakeHost host_;
  wasi::StringBlock none_;
  wasi::Context context_{{.arguments = &none_, .preopens = {}}, host_};
  wasmrt_streams streams_{};
  std::shared_ptr<Engine> engine_;
  std::shared_ptr<Module> module_;
  std::unique_ptr<Instance> instance_;
};

// "check" traps if it finds anything that "mark" leaves.
constexpr const char* kMarks = R"(
  (memory (export "memory") 40)
  (data (i32.const 70000) "\2a\00\00\00")
  (global $i (mut i32) (i32.const 7))
  (global $l (mut i64) (i64.const -8))
  (global $f (mut f32) (f32.const 1.5))
  (global $d (mut f64) (f64.const nan:0x8000000000001))
  (func (export "mark")
    (global.set $i (i32.const 1))
    (global.set $l (i64.const 1))
    (global.set $f (f32.const 1))
    (global.set $d (f64.const 1))
    (i32.store (i32.const 0) (i32.const 1))
    (i32.store (i32.const 70000) (i32.const 1))
    (memory.fill (i32.const 1000000) (i32.const 255) (i32.const 500000))
    (i32.store8 (i32.const 2621439) (i32.const 1)))
  (func (export "check")
    (local $at i32)
    (local $seen i64)
    (local.set $seen (i64.or (i64.extend_i32_u (i32.xor (global.get $i) (i32.const 7)))
                             (i64.xor (global.get $l) (i64.const -8))))
    (local.set $seen (i64.or (local.get $seen) (i64.extend_i32_u
      (i32.xor (i32.reinterpret_f32 (global.get $f)) (i32.reinterpret_f32 (f32.const 1.5))))))
    (local.set $seen (i64.or (local.get $seen)
      (i64.xor (i64.reinterpret_f64 (global.get $d))
               (i64.reinterpret_f64 (f64.const nan:0x8000000000001)))))
    (local.set $seen (i64.or (local.get $seen) (i64.extend_i32_u
      (i32.xor (i32.load (i32.const 70000)) (i32.const 42)))))
    (i32.store (i32.const 70000) (i32.const 0))
    (loop $next
      (local.set $seen (i64.or (local.get $seen) (i64.load (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 2621440))))
    (if (i64.ne (local.get $seen) (i64.const 0)) (then unreachable)))
)";

TEST_F(Rewinding, UndoesWhatARunDid) {
  ASSERT_NO_FATAL_FAILURE(load(kMarks));
  for (int i = 0; i < 10; ++i) {
    ASSERT_FALSE(call("mark")) << i;
    ASSERT_TRUE(call("check")) << "the guest sees its own marks";
    ASSERT_TRUE(instance_->rewind());
    ASSERT_FALSE(call("check")) << "something was left of run " << i;
    ASSERT_TRUE(instance_->rewind());
  }
}

// Only the first function of a run finds its globals as they were at first.
TEST_F(Rewinding, GlobalsAreWhatTheirExpressionsSayWhereARunBegins) {
  ASSERT_NO_FATAL_FAILURE(load(R"(
    (memory (export "memory") 1)
    (global $base i32 (i32.const 100))
    (global $sum (mut i32) (i32.add (global.get $base) (i32.const -30)))
    (global $copy (mut i32) (global.get $base))
    (func (export "initialize")
      (global.set $sum (i32.add (global.get $sum) (i32.const 1)))
      (global.set $copy (i32.sub (global.get $copy) (i32.const 1))))
    (func (export "run") (param i32) unreachable)
    (func (export "check")
      (if (i32.ne (global.get $sum) (i32.const 71)) (then unreachable))
      (if (i32.ne (global.get $copy) (i32.const 99)) (then unreachable)))
  )"));
  for (int i = 0; i < 3; ++i) {
    ASSERT_FALSE(call("initialize")) << i;
    ASSERT_FALSE(instance_->call("check")) << i;
    ASSERT_TRUE(instance_->rewind());
  }
  ASSERT_TRUE(call("check")) << "nothing was initialized in this run";
}

TEST_F(Rewinding, ModulesWithTooMuchToSetAreNotUsedAgain) {
  std::string many_globals;
  for (int i = 0; i < 10'000; ++i) {
    many_globals += "(global (mut i64) (i64.const 0x7fffffffffffffff))";
  }
  std::string many_entries;
  for (int i = 0; i < 1'000; ++i) {
    many_entries += "(func (export \"" + std::to_string(i) + "\"))";
  }
  for (const std::string& more : {many_globals, many_entries}) {
    ASSERT_NO_FATAL_FAILURE(load(R"((memory (export "memory") 1) (func (export "run")))" + more));
    ASSERT_FALSE(call("run"));
    EXPECT_FALSE(instance_->rewind());
  }
}

TEST_F(Rewinding, MemoryThatHasGrownIsNotUsedAgain) {
  ASSERT_NO_FATAL_FAILURE(load(R"((memory (export "memory") 1)
          (func (export "grow") (drop (memory.grow (i32.const 1)))))"));
  ASSERT_FALSE(call("grow"));
  EXPECT_EQ(instance_->memory_bytes(), 2U << 16);
  EXPECT_FALSE(instance_->rewind());
}

TEST_F(Rewinding, MoreThanACopyIsWorthIsNotUndone) {
  ASSERT_NO_FATAL_FAILURE(load(R"((memory (export "memory") 300)
          (func (export "little") (memory.fill (i32.const 0) (i32.const 1) (i32.const 16000000)))
          (func (export "much") (memory.fill (i32.const 0) (i32.const 1) (i32.const 17000000))))"));
  ASSERT_FALSE(call("little"));
  EXPECT_TRUE(instance_->rewind());
  ASSERT_FALSE(call("much"));
  EXPECT_FALSE(instance_->rewind());
}

TEST_F(Rewinding, AnInstanceIsNotUsedForEver) {
  ASSERT_NO_FATAL_FAILURE(load(R"((memory (export "memory") 1) (func (export "run")))"));
  int runs = 0;
  do {
    ASSERT_FALSE(call("run"));
    ++runs;
  } while (instance_->rewind() && runs < 100'000);
  EXPECT_EQ(runs, 10'000);
}

TEST_F(Rewinding, ModulesThatChangeMoreThanMemoryAndGlobalsAreNotUsedAgain) {
  const std::string function = R"((func (export "run") )";
  const std::string memory = R"((memory (export "memory") 1) (func $f) )";
  const std::string table = R"((table $t 2 funcref) (elem $e func $f) )";
  const std::string others[] = {
      memory + table + function + "(table.set (i32.const 1) (ref.null func)))",
      memory + table + function + "(drop (table.grow (ref.null func) (i32.const 1))))",
      memory + table + function +
          "(table.fill (i32.const 0) (ref.null func) (i32.const 1)))",
      memory + table + function + "(table.copy (i32.const 0) (i32.const 1) (i32.const 1)))",
      memory + table + function +
          "(table.init $e (i32.const 0) (i32.const 0) (i32.const 1)))",
      memory + table + function + "(elem.drop $e))",
      memory + R"((data $d "a") )" + function + "(data.drop $d))",
      memory + "(start $f)" + function + ")",
      memory + "(global $g (mut funcref) (ref.null func))" + function +
          "(global.set $g (ref.null func)))",
      memory + "(type $s (struct (field (mut i32))))" + function + ")",
      R"((memory (export "memory2") 1))" + function + ")",
      function + ")",
  };
  for (const std::string& other : others) {
    ASSERT_NO_FATAL_FAILURE(load(other));
    ASSERT_FALSE(call("run")) << other;
    EXPECT_FALSE(instance_->rewind()) << other;
  }
  ASSERT_NO_FATAL_FAILURE(load(memory + table + function + "(drop (table.get $t (i32.const 0))))"));
  ASSERT_FALSE(call("run"));
  EXPECT_TRUE(instance_->rewind());
}

// The clock asks, runs begin and end, and each may be at any step of it when it meets the other.
TEST_F(Rewinding, InterruptsMayComeAtAnyMoment) {
  if (!kHasChecks) GTEST_SKIP() << "guests are interrupted by the engine here";
  ASSERT_NO_FATAL_FAILURE(load(R"(
    (memory (export "memory") 1)
    (func (export "run") (local $left i32)
      (local.set $left (i32.const 1000))
      (loop $again
        (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (if (i32.ne (i32.load (i32.const 8)) (i32.const 1000)) (then unreachable))))"));
  std::atomic<bool> done{false};
  std::thread clock([&] {
    while (!done) engine_->parts().interrupts->raise();
  });
  // The other thread may have no processor for a while.
  const auto end = std::chrono::steady_clock::now() + 20s;
  int bad = 0;
  for (int run = 0; run < 5'000 || (host_.checks == 0 && std::chrono::steady_clock::now() < end);
       ++run) {
    if (call("run")) ++bad;
    if (!instance_->rewind()) instance_ = Instance::create(*module_, kMemoryLimit);
  }
  done = true;
  clock.join();
  EXPECT_EQ(bad, 0);
  EXPECT_GT(host_.checks, 0) << "it was never interrupted";
}

// Whatever writes the first byte of a page that no run before has written.
TEST_F(Rewinding, AnyoneMayWriteASealedMemory) {
  if (!kHasChecks || !can_unprotect()) GTEST_SKIP() << "no memory is sealed here";
  struct Lender : FakeHost {
    std::unique_ptr<Instance>& instance;
    explicit Lender(std::unique_ptr<Instance>& i) : instance(i) {}
    void lend_memory() override { instance->lend_memory(); }
  } lender(instance_);
  wasi::Context context({.arguments = &none_, .preopens = {}}, lender);
  const auto run = [&](std::string_view name) {
    instance_->begin(context, streams_, nullptr);
    Ending end;
    if (instance_->instantiate(end)) end = instance_->call(name);
    if (end) ADD_FAILURE() << name << ": " << end.text();
    return instance_->rewind();
  };
  constexpr const char* kWriters[] = {"store", "fill", "copy", "clock", "random"};
  constexpr const char* kWriting = R"(
    (import "wasi_snapshot_preview1" "clock_time_get"
      (func $clock (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (memory (export "memory") 40)
    (data (i32.const 70000) "\2a\00\00\00")
    (func $always (i32.store (i32.const 0) (i32.const 1)) (i32.store (i32.const 70000) (i32.const 1)))
    (func (export "always") (call $always))
    (func (export "store") (call $always) (i64.store (i32.const 1000001) (i64.const -1)))
    (func (export "fill") (memory.fill (i32.const 1000000) (i32.const 255) (i32.const 500000)))
    (func (export "copy") (memory.copy (i32.const 1000000) (i32.const 69000) (i32.const 8000)))
    (func (export "clock")
      (if (call $clock (i32.const 1) (i64.const 1) (i32.const 1000000)) (then unreachable)))
    (func (export "random")
      (if (call $random (i32.const 1000000) (i32.const 100000)) (then unreachable)))
    (func (export "check") (local $at i32) (local $seen i64)
      (if (i32.ne (i32.load (i32.const 70000)) (i32.const 42)) (then unreachable))
      (call $always)
      (loop $next
        (local.set $seen (i64.or (local.get $seen) (i64.load (i32.add (local.get $at) (i32.const 80000)))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 2541440))))
      (if (i64.ne (local.get $seen) (i64.const 0)) (then unreachable))))";
  for (const char* writer : kWriters) {
    // In another engine: in a pool pages stay written.
    ASSERT_NO_FATAL_FAILURE(SetUp());
    ASSERT_NO_FATAL_FAILURE(load(kWriting));
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(run("always"));
    ASSERT_TRUE(run("check"));
    EXPECT_TRUE(instance_->is_sealed()) << writer;
    EXPECT_TRUE(run(writer));
    EXPECT_FALSE(instance_->is_sealed()) << writer;
    EXPECT_TRUE(run("check")) << "after " << writer;
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(run("always"));
    EXPECT_FALSE(instance_->is_sealed()) << "what was not so once is not expected again";
  }
}

// The place of a sealed memory is another instance's next, which may write it all.
TEST_F(Rewinding, ASealedMemoryIsGivenBackAsItWas) {
  ASSERT_NO_FATAL_FAILURE(load(kMarks + std::string(R"((func (export "little")
      (i32.store (i32.const 0) (i32.const 1))))")));
  for (int round = 0; round < 100; ++round) {
    instance_ = Instance::create(*module_, kMemoryLimit);
    for (int i = 0; i < 20; ++i) {
      ASSERT_FALSE(call("little"));
      ASSERT_TRUE(instance_->rewind());
    }
    ASSERT_EQ(instance_->is_sealed(), kHasChecks && can_unprotect());
    instance_ = Instance::create(*module_, kMemoryLimit);
    ASSERT_FALSE(call("check"));
    ASSERT_FALSE(call("mark"));
  }
}

TEST_F(Rewinding, MemoryThatIsWrittenInManyPlacesIsNotSealed) {
  ASSERT_NO_FATAL_FAILURE(load(R"((memory (export "memory") 40)
    (func (export "run") (local $at i32)
      (loop $next
        (i32.store8 (local.get $at) (i32.const 1))
        (local.set $at (i32.add (local.get $at) (i32.const 65536)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 2621440))))))"));
  for (int i = 0; i < 40; ++i) {
    ASSERT_FALSE(call("run"));
    ASSERT_TRUE(instance_->rewind());
  }
  EXPECT_FALSE(instance_->is_sealed());
}

TEST_F(Rewinding, AModuleCannotPassItselfOffAsOne) {
  for (const char* name : {"wasmrt:memory", "wasmrt:run:_start", "wasmrt:interrupt", "wasmrt:start", "wasmrt:"}) {
    const Result<Image> image =
        image_of(std::string(R"((memory (export "memory") (export ")") + name +
                 R"(") 1) (table 2 funcref) (func (export "_start")
                    (table.set (i32.const 1) (ref.null func))))");
    ASSERT_FALSE(image.is_ok()) << name;
    EXPECT_NE(image.status().message().find(std::string("exports \"") + name + "\"; names that"),
              std::string::npos)
        << image.status().message();
  }
}

TEST_F(Rewinding, IdleInstancesGoWithTheirModule) {
  ASSERT_NO_FATAL_FAILURE(load(kMarks));
  IdleInstances idle(2);
  const auto give = [&](uint64_t memory_limit) {
    instance_ = Instance::create(*module_, memory_limit);
    ASSERT_FALSE(call("mark"));
    ASSERT_TRUE(instance_->rewind());
    idle.give(std::move(instance_), 0);
  };
  for (int i = 0; i < 3; ++i) ASSERT_NO_FATAL_FAILURE(give(kMemoryLimit));
  EXPECT_EQ(idle.take(*module_, kMemoryLimit + 1), nullptr) << "made for another limit";
  EXPECT_NE(idle.take(*module_, kMemoryLimit), nullptr);
  for (int i = 0; i < 3; ++i) ASSERT_NO_FATAL_FAILURE(give(kMemoryLimit));
  idle.drop_all_of(*module_);
  EXPECT_EQ(idle.take(*module_, kMemoryLimit), nullptr);
}

TEST_F(Rewinding, IdleInstancesAreNoMoreThanAllowedAndGoWithTime) {
  ASSERT_NO_FATAL_FAILURE(load(kMarks));
  const auto take_all = [&](IdleInstances& idle, uint64_t memory_limit) {
    size_t count = 0;
    while (idle.take(*module_, memory_limit)) ++count;
    return count;
  };
  const auto give = [&](IdleInstances& idle, uint64_t memory_limit, int64_t now_ns) {
    idle.give(Instance::create(*module_, memory_limit), now_ns);
  };
  for (const size_t most : {1, 2, 3, 10}) {
    IdleInstances idle(most);
    for (size_t i = 0; i < most + 5; ++i) give(idle, kMemoryLimit, 0);
    const size_t found = take_all(idle, kMemoryLimit);
    EXPECT_LE(found, most);
    EXPECT_GE(found, (most + 1) / 2) << "but for places of other processors";
  }
  constexpr int64_t kMinute = 60'000'000'000;
  IdleInstances idle(10);
  for (int i = 0; i < 4; ++i) give(idle, kMemoryLimit, 0);
  // One waits among the others only since another one came to its processor.
  for (int i = 0; i < 8; ++i) give(idle, kMemoryLimit + 1, kMinute + 1);
  for (int i = 0; i < 8; ++i) give(idle, kMemoryLimit + 1, 2 * kMinute + 2);
  EXPECT_EQ(take_all(idle, kMemoryLimit), 0);
}

// Whoever looks for an instance of another module holds one for a moment, in which its module may go.
TEST_F(Rewinding, NoInstanceIsKeptWhoseModuleHasGone) {
  const Result<Image> image = image_of(kMarks);
  ASSERT_TRUE(image.is_ok()) << image.status().message();
  const auto load_module = [&] { return Module::load(engine_, image.value()).take(); };
  IdleInstances& idle = engine_->parts().idle;
  const std::shared_ptr<Module> staying = load_module();
  std::shared_ptr<Module> going = load_module();
  const std::weak_ptr<const bool> is_gone = going->parts().is_gone;
  std::unique_ptr<Instance> held = Instance::create(*going, kMemoryLimit);
  idle.give(Instance::create(*going, kMemoryLimit), 0);
  idle.give(Instance::create(*going, kMemoryLimit), 0);
  going.reset();
  EXPECT_EQ(is_gone.use_count(), 1) << "others than the one that is held";
  idle.give(std::move(held), 0);
  EXPECT_EQ(idle.take(*staying, kMemoryLimit), nullptr);
  EXPECT_TRUE(is_gone.expired()) << "it is still among those that wait";
}

TEST(RewindableModule, RubbishIsNone) {
  const auto is_one = [](const std::string& bytes) {
    bool found = false;
    module_with_state_exported(
        reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
        [](void* baton, const uint8_t*, size_t) { *static_cast<bool*>(baton) = true; }, &found);
    return found;
  };
  const std::string good = wasm_of(kMarks);
  EXPECT_TRUE(is_one(good));
  EXPECT_FALSE(is_one(""));
  EXPECT_FALSE(is_one(std::string("\0asm\x0d\0\1\0", 8))) << "a component";
  for (size_t length = 0; length < good.size(); ++length) is_one(good.substr(0, length));
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    for (int change = 0; change < 3; ++change) {
      bad[8 + random() % (bad.size() - 8)] = static_cast<char>(random());
    }
    is_one(bad);
  }
}

// The compiler validates what it gets first; but nothing else may go wrong than this.
TEST(InterruptibleModule, RubbishIsRefusedOrPassedOn) {
  struct Answer {
    bool done = false;
    std::string problem;
  };
  const auto ask = [](const std::string& bytes) {
    Answer answer;
    module_with_checks(
        reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
        [](void* baton, const uint8_t*, size_t) { static_cast<Answer*>(baton)->done = true; },
        [](void* baton, const uint8_t* text, size_t length) {
          static_cast<Answer*>(baton)->problem.assign(reinterpret_cast<const char*>(text), length);
        },
        &answer);
    EXPECT_NE(answer.done, !answer.problem.empty());
    return answer.done;
  };
  const std::string good = wasm_of(kMarks);
  EXPECT_TRUE(ask(good));
  EXPECT_FALSE(ask(""));
  for (size_t length = 0; length < good.size(); ++length) ask(good.substr(0, length));
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    for (int change = 0; change < 3; ++change) {
      bad[8 + random() % (bad.size() - 8)] = static_cast<char>(random());
    }
    ask(bad);
  }
}

TEST_F(Rewinding, WhatChecksNeedIsNotForGuests) {
  const std::pair<const char*, const char*> refused[] = {
      {R"((memory 1) (func (drop (i32.atomic.load (i32.const 0)))))", "threads"},
      {"(memory 1) (memory 1)", "more memories than one"}};
  for (const auto& [text, why] : refused) {
    const Result<Image> image = image_of(text);
    ASSERT_FALSE(image.is_ok()) << text;
    EXPECT_NE(image.status().message().find(why), std::string::npos) << image.status().message();
  }
}

class WrittenPagesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!knows_written_pages()) GTEST_SKIP() << "needs PAGEMAP_SCAN (Linux 6.7)";
  }

  static std::span<uint8_t> map(size_t pages) {
    const size_t size = pages * kPage;
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return {static_cast<uint8_t*>(memory), size};
  }

  static inline const auto kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));
};

TEST_F(WrittenPagesTest, AreRestoredInAChildAsWell) {
  const std::span<uint8_t> memory = map(1000);
  const std::span<uint8_t> pristine = map(1000);
  const size_t size = memory.size();
  WrittenPages written{false};
  const auto differs = [&](size_t from) {
    written.run_begins();
    // Every other page: more regions than one call tells of.
    for (size_t at = from; at < size; at += 2 * kPage) memory[at + 17] = 1;
    const bool done = written.restore(memory, pristine.data(), size);
    return !done || std::memcmp(memory.data(), pristine.data(), size) != 0;
  };
  EXPECT_FALSE(differs(0));
  EXPECT_FALSE(WrittenPages(false).restore(memory, pristine.data(), 499 * kPage));
  const pid_t child = fork();
  if (child == 0) _exit(differs(kPage) ? 1 : 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  munmap(memory.data(), size);
  munmap(pristine.data(), size);
}

// Pages that were zero are not read again: one byte makes the difference.
TEST_F(WrittenPagesTest, AreWhatTheyWereWhetherZeroOrNot) {
  constexpr size_t kPages = 7;
  std::vector<uint8_t> image(kPages * kPage);
  image.at(1 * kPage) = 1;
  image.at(3 * kPage - 1) = 2;
  std::fill_n(image.begin() + static_cast<long>(5 * kPage), kPage, 4);
  const int file = memfd_create("image", MFD_CLOEXEC);
  ASSERT_EQ(write(file, image.data(), image.size()), static_cast<ssize_t>(image.size()));
  const auto map_image = [&] {
    void* memory = mmap(nullptr, image.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    return std::span(static_cast<uint8_t*>(memory), image.size());
  };
  const std::span<uint8_t> memory = map_image();
  const std::span<uint8_t> pristine = map_image();
  WrittenPages written{false};
  for (int run = 0; run < 2; ++run) {
    written.run_begins();
    std::ranges::fill(memory, 0xff);
    ASSERT_TRUE(written.restore(memory, pristine.data(), memory.size()));
    EXPECT_TRUE(std::ranges::equal(memory, image)) << run;
  }
  munmap(memory.data(), memory.size());
  munmap(pristine.data(), pristine.size());
  close(file);
}

// What was known of a memory is still true only if no thread wrote more of it, whichever
// threads restored it, and others, in between.
TEST_F(WrittenPagesTest, AreFoundWhicheverThreadWroteThemFirst) {
  constexpr size_t kMemories = 3;
  constexpr size_t kPages = 200;
  struct Memory {
    std::span<uint8_t> bytes = map(kPages);
    WrittenPages written{false};
  };
  std::array<Memory, kMemories> memories;
  const std::span<uint8_t> pristine = map(kPages);
  std::mt19937 random(7);

  // One after the other, by turns of no order.
  std::mutex turn;
  int left = 3'000;
  int bad = 0;
  const auto work = [&] {
    for (;;) {
      const std::scoped_lock lock(turn);
      if (left == 0 || bad != 0) return;
      --left;
      Memory& memory = memories[random() % kMemories];
      memory.written.run_begins();
      // Mostly pages that were written before; at times the kernel writes them.
      for (int i = 0; i < 3; ++i) {
        const size_t page = random() % (random() % 4 == 0 ? kPages : 10);
        uint8_t* at = memory.bytes.data() + page * kPage + random() % 4000;
        if (random() % 2 == 0) {
          *at ^= 0xff;
        } else {
          bad += getrandom(at, 16, 0) == 16 ? 0 : 1;
        }
      }
      bad += memory.written.restore(memory.bytes, pristine.data(), memory.bytes.size()) ? 0 : 1;
      bad += std::ranges::equal(memory.bytes, pristine) ? 0 : 1;
      if (random() % 8 == 0) std::this_thread::yield();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(work);
  }
  EXPECT_EQ(bad, 0);
  EXPECT_EQ(left, 0);
  for (const Memory& memory : memories) munmap(memory.bytes.data(), memory.bytes.size());
  munmap(pristine.data(), pristine.size());
}

// A guest's output goes through a filter that runs another guest, on the same thread.
TEST_F(WrittenPagesTest, AreFoundAfterARunWithinTheRun) {
  struct Memory {
    std::span<uint8_t> bytes = map(10);
    WrittenPages written{false};
  };
  Memory outer;
  Memory inner;
  const std::span<uint8_t> pristine = map(10);
  const auto is_restored = [&](Memory& memory) {
    return memory.written.restore(memory.bytes, pristine.data(), memory.bytes.size()) &&
           std::ranges::equal(memory.bytes, pristine);
  };
  for (size_t page = 0; page < 10; ++page) {
    outer.written.run_begins();
    outer.bytes[page * kPage] = 1;
    inner.written.run_begins();
    inner.bytes[page * kPage] = 1;
    ASSERT_TRUE(is_restored(inner)) << page;
    ASSERT_TRUE(is_restored(outer)) << page;
  }
  for (const std::span<uint8_t> bytes : {outer.bytes, inner.bytes, pristine}) munmap(bytes.data(), bytes.size());
}

}  // namespace
}  // namespace wasmrt
