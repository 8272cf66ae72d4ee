// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/unique_fd.h"
#include "wasi/test_support.h"

namespace wasmrt::wasi {
namespace {

const std::string kDatabase("SQLite format 3\0 and so on", 26);

class LockDirectoriesTest : public testing::Test {
 protected:
  LockDirectoriesTest() {
    directory_.write("db", kDatabase);
    first_ = start();
    second_ = start();
  }

  std::unique_ptr<TestGuest> start() {
    return std::make_unique<TestGuest>(
        std::vector<Preopen>{{.guest_path = "/", .host_path = directory_.path()}});
  }
  static Errno make(const std::unique_ptr<TestGuest>& guest, std::string_view name = "db.lock") {
    return guest->path_call("path_create_directory", TestGuest::kRoot, name);
  }
  static Errno remove(const std::unique_ptr<TestGuest>& guest, std::string_view name = "db.lock") {
    return guest->path_call("path_remove_directory", TestGuest::kRoot, name);
  }
  static Errno stat(const std::unique_ptr<TestGuest>& guest, std::string_view name = "db.lock") {
    Filestat unused;
    return guest->stat(TestGuest::kRoot, name, unused);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<TestGuest> first_;
  std::unique_ptr<TestGuest> second_;
};

TEST_F(LockDirectoriesTest, OneHasTheLock) {
  ASSERT_EQ(make(first_), Errno::kSuccess);
  EXPECT_EQ(make(second_), Errno::kExist);
  EXPECT_EQ(make(first_), Errno::kExist);
  ASSERT_EQ(remove(first_), Errno::kSuccess);
  EXPECT_EQ(make(second_), Errno::kSuccess);
  EXPECT_EQ(make(first_), Errno::kExist);
}

TEST_F(LockDirectoriesTest, EndOfARunGivesBackWhatItHolds) {
  directory_.write("empty", "");
  directory_.make_directory("sub");
  directory_.write("sub/db", kDatabase);
  for (const char* name : {"db.lock", "empty.lock", "sub/db.lock"}) {
    ASSERT_EQ(make(first_, name), Errno::kSuccess);
  }
  first_.reset();
  for (const char* name : {"db.lock", "empty.lock", "sub/db.lock"}) {
    EXPECT_FALSE(directory_.exists(name)) << name;
  }
}

TEST_F(LockDirectoriesTest, EndOfARunLeavesWhatItDoesNotHold) {
  ASSERT_EQ(make(first_), Errno::kSuccess);
  ASSERT_EQ(remove(first_), Errno::kSuccess);
  ASSERT_EQ(make(second_), Errno::kSuccess);
  first_.reset();
  EXPECT_TRUE(directory_.exists("db.lock"));
}

TEST_F(LockDirectoriesTest, ChmodLeavesTheMark) {
  ASSERT_EQ(make(first_), Errno::kSuccess);
  const auto change = [](const std::unique_ptr<TestGuest>& guest) {
    return guest->call_own("path_chmod", {TestGuest::kRoot, guest->store("db.lock"), 7, 0700});
  };
  EXPECT_EQ(change(first_), Errno::kNoent);
  EXPECT_EQ(change(second_), Errno::kSuccess);
  const uint32_t fd = first_->must_open(TestGuest::kRoot, "db.lock");
  EXPECT_EQ(first_->call_own("fd_chmod", {fd, 0500}), Errno::kSuccess);
  struct stat status;
  ASSERT_EQ(::stat(directory_.path("db.lock").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 01500u);
  const uint32_t out = second_->allocate(sizeof(Status));
  ASSERT_EQ(second_->call_own("fd_stat", {second_->must_open(TestGuest::kRoot, "db.lock"), out}),
            Errno::kSuccess);
  EXPECT_EQ(second_->load<Status>(out).mode, static_cast<uint32_t>(S_IFDIR | 0500));
}

TEST_F(LockDirectoriesTest, OtherDirectoriesStay) {
  directory_.write("text", "no database");
  directory_.make_directory("folder");
  directory_.make_link("db", "link");
  const char* names[] = {"text.lock",    "folder.lock", "link.lock",
                         "missing.lock", "db.locks",    ".lock"};
  for (const char* name : names) ASSERT_EQ(make(first_, name), Errno::kSuccess) << name;
  for (const char* name : names) EXPECT_EQ(make(second_, name), Errno::kExist) << name;
  for (const char* name : names) EXPECT_EQ(stat(first_, name), Errno::kSuccess) << name;
  first_.reset();
  for (const char* name : names) {
    EXPECT_TRUE(directory_.exists(name)) << name;
    EXPECT_EQ(make(second_, name), Errno::kExist) << name;
  }
}

TEST_F(LockDirectoriesTest, LockOfAProcessThatDied) {
  const pid_t child = fork();
  if (child == 0) {
    auto guest = start();
    _exit(make(guest) == Errno::kSuccess ? 0 : 1);  // as if killed: nothing is given back
  }
  int status;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(directory_.exists("db.lock"));
  EXPECT_EQ(make(first_), Errno::kSuccess);
  EXPECT_EQ(make(second_), Errno::kExist);
  first_.reset();
  EXPECT_FALSE(directory_.exists("db.lock"));
}

TEST_F(LockDirectoriesTest, LockOfANativeProgram) {
  directory_.make_directory("db.lock");
  EXPECT_EQ(make(first_), Errno::kExist);
  EXPECT_EQ(stat(first_), Errno::kSuccess);
  first_.reset();
  EXPECT_TRUE(directory_.exists("db.lock"));
}

TEST_F(LockDirectoriesTest, HolderDoesNotSeeIt) {
  ASSERT_EQ(make(first_), Errno::kSuccess);
  EXPECT_EQ(stat(first_), Errno::kNoent);
  EXPECT_EQ(stat(second_), Errno::kSuccess);
  ASSERT_EQ(remove(first_), Errno::kSuccess);
  EXPECT_EQ(stat(second_), Errno::kNoent);
}

TEST_F(LockDirectoriesTest, RenamedOneStays) {
  ASSERT_EQ(make(first_), Errno::kSuccess);
  ASSERT_EQ(first_->rename(TestGuest::kRoot, "db.lock", TestGuest::kRoot, "kept"), Errno::kSuccess);
  first_.reset();
  EXPECT_TRUE(directory_.exists("kept"));
}

TEST_F(LockDirectoriesTest, ManyAreOrdinary) {
  constexpr int kCount = 40;
  for (int i = 0; i < kCount; ++i) {
    directory_.write("db" + std::to_string(i), kDatabase);
    ASSERT_EQ(make(first_, "db" + std::to_string(i) + ".lock"), Errno::kSuccess);
  }
  first_.reset();
  int left = 0;
  for (int i = 0; i < kCount; ++i) left += directory_.exists("db" + std::to_string(i) + ".lock");
  EXPECT_EQ(left, kCount - 8);
}

TEST_F(LockDirectoriesTest, ReadOnlyDirectory) {
  TestGuest guest({{.guest_path = "/", .host_path = directory_.path(), .read_only = true}});
  EXPECT_EQ(guest.path_call("path_create_directory", TestGuest::kRoot, "db.lock"), Errno::kPerm);
  EXPECT_FALSE(directory_.exists("db.lock"));
}

// Runs that take the lock and end, some without giving it back: never two at once.
TEST_F(LockDirectoriesTest, Race) {
  constexpr int kRounds = 5000;
  constexpr int kThreads = 4;
  std::atomic<int> inside{0};
  std::atomic<int> entered{0};
  std::atomic<bool> two{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        auto guest = start();
        if (make(guest) != Errno::kSuccess) continue;
        if (inside.fetch_add(1) != 0) two = true;
        ++entered;
        inside.fetch_sub(1);
        if ((i + t) % 2 == 0) {
          EXPECT_EQ(remove(guest), Errno::kSuccess);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(two);
  EXPECT_GT(entered, 0);
  EXPECT_FALSE(directory_.exists("db.lock"));
}

}  // namespace
}  // namespace wasmrt::wasi
