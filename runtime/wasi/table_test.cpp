// SPDX-License-Identifier: Apache-2.0
#include "wasi/table.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "wasi/test_support.h"

namespace wasmrt::wasi {
namespace {

// All of preview 1 by its witx file: name and type, i for i32, I for i64.
constexpr std::pair<std::string_view, std::string_view> kPreview1[] = {
    {"args_get", "ii>i"},
    {"args_sizes_get", "ii>i"},
    {"environ_get", "ii>i"},
    {"environ_sizes_get", "ii>i"},
    {"clock_res_get", "ii>i"},
    {"clock_time_get", "iIi>i"},
    {"fd_advise", "iIIi>i"},
    {"fd_allocate", "iII>i"},
    {"fd_close", "i>i"},
    {"fd_datasync", "i>i"},
    {"fd_fdstat_get", "ii>i"},
    {"fd_fdstat_set_flags", "ii>i"},
    {"fd_fdstat_set_rights", "iII>i"},
    {"fd_filestat_get", "ii>i"},
    {"fd_filestat_set_size", "iI>i"},
    {"fd_filestat_set_times", "iIIi>i"},
    {"fd_pread", "iiiIi>i"},
    {"fd_prestat_get", "ii>i"},
    {"fd_prestat_dir_name", "iii>i"},
    {"fd_pwrite", "iiiIi>i"},
    {"fd_read", "iiii>i"},
    {"fd_readdir", "iiiIi>i"},
    {"fd_renumber", "ii>i"},
    {"fd_seek", "iIii>i"},
    {"fd_sync", "i>i"},
    {"fd_tell", "ii>i"},
    {"fd_write", "iiii>i"},
    {"path_create_directory", "iii>i"},
    {"path_filestat_get", "iiiii>i"},
    {"path_filestat_set_times", "iiiiIIi>i"},
    {"path_link", "iiiiiii>i"},
    {"path_open", "iiiiiIIii>i"},
    {"path_readlink", "iiiiii>i"},
    {"path_remove_directory", "iii>i"},
    {"path_rename", "iiiiii>i"},
    {"path_symlink", "iiiii>i"},
    {"path_unlink_file", "iii>i"},
    {"poll_oneoff", "iiii>i"},
    {"proc_exit", "i>"},
    {"proc_raise", "i>i"},
    {"sched_yield", ">i"},
    {"random_get", "ii>i"},
    {"sock_accept", "iii>i"},
    {"sock_recv", "iiiiii>i"},
    {"sock_send", "iiiii>i"},
    {"sock_shutdown", "ii>i"},
};

std::string type_of(const HostFunction& function) {
  std::string type;
  for (const ValueType parameter : function.parameters) {
    type += parameter == ValueType::kI64 ? 'I' : 'i';
  }
  return type + (function.has_result ? ">i" : ">");
}

TEST(TableTest, HoldsAllOfPreview1WithItsTypes) {
  EXPECT_EQ(std::size(kPreview1), 46u);
  for (const auto& [name, type] : kPreview1) {
    const HostFunction* function = find_host_function("wasi_snapshot_preview1", name);
    ASSERT_NE(function, nullptr) << name;
    EXPECT_EQ(type_of(*function), type) << name;
    EXPECT_NE(function->call, nullptr) << name;
  }
}

TEST(TableTest, HoldsAllOfWasiUnstableWithItsTypes) {
  for (const auto& [name, type] : kPreview1) {
    const HostFunction* function = find_host_function("wasi_unstable", name);
    if (name == "sock_accept") {  // came with preview 1
      EXPECT_EQ(function, nullptr);
      continue;
    }
    ASSERT_NE(function, nullptr) << name;
    EXPECT_EQ(type_of(*function), type) << name;
  }
}

TEST(TableTest, HoldsNothingElseAndNothingTwice) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const HostFunction& function : host_functions()) {
    EXPECT_TRUE(seen.insert({function.module, function.name}).second) << function.name;
    if (function.module == "mod_wasm") continue;
    EXPECT_TRUE(std::ranges::any_of(kPreview1, [&](const auto& known) {
      return known.first == function.name;
    })) << function.name;
  }
  EXPECT_EQ(seen.size(), 46u + 45u + 10u);
}

TEST(TableTest, FindsNothingUnderOtherNames) {
  EXPECT_EQ(find_host_function("wasi_snapshot_preview1", "fd_dup"), nullptr);
  EXPECT_EQ(find_host_function("env", "fd_read"), nullptr);
}

// What differs in wasi_unstable.

TEST(UnstableTest, OrdersWhenceDifferently) {
  TemporaryDirectory directory;
  directory.write("file", "0123456789");
  TestGuest guest({{"/", directory.path()}});
  const uint32_t fd = guest.must_open(TestGuest::kRoot, "file");
  const uint32_t position = guest.allocate(8);
  const auto seek = [&](int64_t offset, uint32_t whence) {
    EXPECT_EQ(guest.call_unstable("fd_seek", {fd, static_cast<uint64_t>(offset), whence, position}),
              Errno::kSuccess);
    return guest.load<uint64_t>(position);
  };
  EXPECT_EQ(seek(4, 2), 4u);   // set
  EXPECT_EQ(seek(2, 0), 6u);   // cur
  EXPECT_EQ(seek(-1, 1), 9u);  // end
  EXPECT_EQ(guest.call_unstable("fd_seek", {fd, 0, 3, position}), Errno::kInval);
}

TEST(UnstableTest, LinkCountHas32Bits) {
  TemporaryDirectory directory;
  directory.write("file", "0123456789");
  TestGuest guest({{"/", directory.path()}});
  const uint32_t fd = guest.must_open(TestGuest::kRoot, "file");
  const uint32_t out = guest.allocate(64);
  ASSERT_EQ(guest.call_unstable("fd_filestat_get", {fd, out}), Errno::kSuccess);
  EXPECT_EQ(guest.load<UnstableFilestat>(out).nlink, 1u);
  EXPECT_EQ(guest.load<UnstableFilestat>(out).size, 10u);
  EXPECT_EQ(guest.load<uint64_t>(out + 56), 0u);  // nothing behind it is touched
  const uint32_t again = guest.allocate(64);
  const uint32_t path = guest.store("file");
  ASSERT_EQ(guest.call_unstable("path_filestat_get", {TestGuest::kRoot, 0, path, 4, again}),
            Errno::kSuccess);
  EXPECT_EQ(guest.text(again, 56), guest.text(out, 56));
  EXPECT_EQ(guest.call_unstable("fd_filestat_get", {99, out}), Errno::kBadf);
  EXPECT_EQ(guest.call_unstable("path_filestat_get", {TestGuest::kRoot, 0, path, 3, again}),
            Errno::kNoent);
}

TEST(UnstableTest, SubscriptionsAreLarger) {
  TestGuest guest;
  UnstableSubscription subscriptions[2] = {};
  subscriptions[0].userdata = 7;
  subscriptions[0].tag = static_cast<uint8_t>(EventType::kClock);
  subscriptions[0].clock.id = static_cast<uint32_t>(ClockId::kMonotonic);
  subscriptions[0].clock.timeout = 1'000'000'000'000;
  subscriptions[1].userdata = 8;
  subscriptions[1].tag = static_cast<uint8_t>(EventType::kClock);
  subscriptions[1].clock.id = static_cast<uint32_t>(ClockId::kMonotonic);
  subscriptions[1].clock.timeout = 1;
  const uint32_t in = guest.store({reinterpret_cast<char*>(subscriptions), sizeof(subscriptions)});
  const uint32_t out = guest.allocate(2 * sizeof(Event));
  const uint32_t count = guest.allocate(4);
  ASSERT_EQ(guest.call_unstable("poll_oneoff", {in, out, 2, count}), Errno::kSuccess);
  EXPECT_EQ(guest.load<uint32_t>(count), 1u);
  EXPECT_EQ(guest.load<Event>(out).userdata, 8u);
}

}  // namespace
}  // namespace wasmrt::wasi
