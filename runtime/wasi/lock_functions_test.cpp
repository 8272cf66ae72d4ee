// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>

#include "support/unique_fd.h"
#include "wasi/test_support.h"

namespace wasmrt::wasi {
namespace {

constexpr uint32_t kUnlock = 0;
constexpr uint32_t kShared = 1;
constexpr uint32_t kExclusive = 2;
constexpr uint32_t kTest = 4;
constexpr uint64_t kWhole = ~uint64_t{0};
constexpr uint64_t kReadWrite = rights::kFdRead | rights::kFdWrite;

class LockTest : public testing::Test {
 protected:
  LockTest() {
    directory_.write("file", "0123456789");
    fd_ = guest_.must_open(TestGuest::kRoot, "file", 0, kReadWrite);
  }

  Errno lock(uint32_t kind, uint64_t start, uint64_t length, bool wait = false) {
    return guest_.call_own("fd_lock", {fd_, kind, start, length, wait ? 1u : 0u});
  }
  [[nodiscard]] UniqueFd native() const {
    return UniqueFd(open(directory_.path("file").c_str(), O_RDWR | O_CLOEXEC));
  }
  static bool native_range(const UniqueFd& fd, short type, off_t start, off_t length) {
    struct flock range {};
    range.l_type = type;
    range.l_start = start;
    range.l_len = length;
    return fcntl(fd.get(), F_OFD_SETLK, &range) == 0;
  }

  TemporaryDirectory directory_;
  TestGuest guest_{{{.guest_path = "/", .host_path = directory_.path()}}};
  uint32_t fd_ = 0;
};

TEST_F(LockTest, RangesAreLockedForNativePrograms) {
  const UniqueFd other = native();
  ASSERT_EQ(lock(kExclusive, 2, 3), Errno::kSuccess);
  EXPECT_FALSE(native_range(other, F_RDLCK, 4, 1));
  EXPECT_TRUE(native_range(other, F_WRLCK, 5, 0));
  ASSERT_EQ(lock(kUnlock, 2, 3), Errno::kSuccess);
  EXPECT_TRUE(native_range(other, F_WRLCK, 2, 3));
}

TEST_F(LockTest, LocksOfNativeProgramsAreHeeded) {
  const UniqueFd other = native();
  ASSERT_TRUE(native_range(other, F_RDLCK, 0, 4));
  EXPECT_EQ(lock(kShared, 0, 4), Errno::kSuccess);
  EXPECT_EQ(lock(kExclusive, 3, 1), Errno::kAgain);
  EXPECT_EQ(lock(kExclusive, 4, 0), Errno::kSuccess);
}

TEST_F(LockTest, TestTakesNothing) {
  const UniqueFd other = native();
  EXPECT_EQ(lock(kExclusive | kTest, 0, 4), Errno::kSuccess);
  ASSERT_TRUE(native_range(other, F_RDLCK, 0, 4));
  EXPECT_EQ(lock(kShared | kTest, 0, 4), Errno::kSuccess);
  EXPECT_EQ(lock(kExclusive | kTest, 0, 4, true), Errno::kAgain);
}

TEST_F(LockTest, WholeFileIsFlock) {
  const UniqueFd other = native();
  ASSERT_EQ(lock(kExclusive, 0, kWhole), Errno::kSuccess);
  EXPECT_NE(flock(other.get(), LOCK_SH | LOCK_NB), 0);
  EXPECT_TRUE(native_range(other, F_WRLCK, 0, 0));
  ASSERT_EQ(lock(kShared, 0, kWhole), Errno::kSuccess);
  EXPECT_EQ(flock(other.get(), LOCK_SH | LOCK_NB), 0);
  EXPECT_EQ(lock(kExclusive, 0, kWhole), Errno::kAgain);
}

TEST_F(LockTest, CloseEndsALock) {
  const UniqueFd other = native();
  ASSERT_EQ(lock(kExclusive, 0, kWhole), Errno::kSuccess);
  ASSERT_EQ(guest_.call("fd_close", {fd_}), Errno::kSuccess);
  EXPECT_EQ(flock(other.get(), LOCK_EX | LOCK_NB), 0);
}

TEST_F(LockTest, WaitsUntilItCanBeHad) {
  UniqueFd other = native();
  ASSERT_EQ(flock(other.get(), LOCK_EX), 0);
  guest_.host.on_check = [&] { other.reset(); };
  EXPECT_EQ(lock(kExclusive, 0, kWhole, true), Errno::kSuccess);
  EXPECT_EQ(guest_.host.flushes, 1);
}

TEST_F(LockTest, WaitEndsWithTheRun) {
  const UniqueFd other = native();
  ASSERT_TRUE(native_range(other, F_WRLCK, 0, 0));
  guest_.host.stop_at_check = 3;
  EXPECT_EQ(lock(kShared, 0, 1, true), Errno::kCanceled);
}

TEST_F(LockTest, Errors) {
  EXPECT_EQ(guest_.call_own("fd_lock", {99, kShared, 0, 0, 0}), Errno::kBadf);
  EXPECT_EQ(guest_.call_own("fd_lock", {TestGuest::kRoot, kShared, 0, 0, 0}), Errno::kBadf);
  EXPECT_EQ(guest_.call_own("fd_lock", {1, kShared, 0, 0, 0}), Errno::kBadf);
  EXPECT_EQ(lock(3, 0, 0), Errno::kInval);
  EXPECT_EQ(lock(kTest, 0, 0), Errno::kInval);
  EXPECT_EQ(lock(kShared | kTest, 0, kWhole), Errno::kInval);
  EXPECT_EQ(lock(kShared, kWhole, 1), Errno::kInval);
  EXPECT_EQ(lock(kShared, 2, (uint64_t{1} << 63) - 1), Errno::kInval);
}

TEST(LockReadOnlyTest, ReadersCannotKeepWritersOut) {
  const TemporaryDirectory directory;
  directory.write("file", "");
  TestGuest guest({{.guest_path = "/", .host_path = directory.path(), .read_only = true}});
  const uint32_t fd = guest.must_open(TestGuest::kRoot, "file");
  EXPECT_EQ(guest.call_own("fd_lock", {fd, kShared, 0, kWhole, 0}), Errno::kSuccess);
  EXPECT_EQ(guest.call_own("fd_lock", {fd, kExclusive, 0, kWhole, 0}), Errno::kNotcapable);
}

}  // namespace
}  // namespace wasmrt::wasi
