// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include "wasi/test_support.h"

namespace wasmrt::wasi {
namespace {

constexpr uint32_t kRoot = TestGuest::kRoot;
constexpr uint32_t kReadOnlyRoot = kRoot + 1;
constexpr uint32_t kExecRoot = kRoot + 2;
constexpr uint32_t kBad = TestGuest::kBadPointer;
constexpr uint64_t kReadWrite = rights::kFdRead | rights::kFdWrite;

/// A guest with "root" to write, "ro" to read and "exec" for programs, beside them what it must not
/// reach; each test runs with the kernel's walk and with our own.
class PathTest : public testing::TestWithParam<PathWalk> {
 protected:
  PathTest() {
    outside_.make_directory("root/dir");
    outside_.make_directory("ro/dir");
    outside_.make_directory("exec/dir");
    outside_.write("root/file", "file");
    outside_.write("ro/file", "read only");
    outside_.write("secret", "secret");
    outside_.make_directory("outside");
    guest_.emplace(
        std::vector<Preopen>{{"/", outside_.path("root")},
                             {"/ro", outside_.path("ro"), true},
                             {.guest_path = "/exec", .host_path = outside_.path("exec"), .exec = true}},
        GetParam());
  }

  TestGuest& guest() { return *guest_; }

  TemporaryDirectory outside_;
  std::optional<TestGuest> guest_;
};

INSTANTIATE_TEST_SUITE_P(Walks, PathTest, testing::Values(PathWalk::kKernel, PathWalk::kOwn),
                         [](const auto& info) {
                           return info.param == PathWalk::kKernel ? "Kernel" : "Own";
                         });

/// The functions that take one path, with what they say of good arguments.
struct OnePath {
  const char* name;
  bool writes;
};
constexpr OnePath kOnePath[] = {{"path_create_directory", true},
                                {"path_filestat_get", false},
                                {"path_filestat_set_times", true},
                                {"path_stat", false},
                                {"path_set_times", true},
                                {"path_access", false},
                                {"path_chmod", true},
                                {"path_disk_space", false},
                                {"path_open", false},
                                {"path_readlink", false},
                                {"path_remove_directory", true},
                                {"path_unlink_file", true},
                                {"path_symlink", true},
                                {"link from", true},
                                {"link to", true},
                                {"rename from", true},
                                {"rename to", true}};

/// Calls one of them with a path at `ptr`, all else in order.
Errno call_with(TestGuest& guest, std::string_view name, uint32_t fd, uint32_t ptr, uint32_t len) {
  const uint32_t other = guest.store("dir/other");
  const uint32_t out = guest.allocate(sizeof(Status));
  if (name == "path_stat") return guest.call_own(name, {fd, 0, ptr, len, out});
  if (name == "path_set_times") {
    return guest.call_own(name, {fd, 0, ptr, len, out, fstflags::kMtime});
  }
  if (name == "path_access" || name == "path_chmod") {
    return guest.call_own(name, {fd, ptr, len, 0});
  }
  if (name == "path_disk_space") return guest.call_own(name, {fd, ptr, len, out});
  if (name == "path_filestat_get") return guest.call(name, {fd, 0, ptr, len, out});
  if (name == "path_filestat_set_times") {
    return guest.call(name, {fd, 0, ptr, len, 0, 0, fstflags::kMtime});
  }
  if (name == "path_open") return guest.call(name, {fd, 0, ptr, len, 0, 0, 0, 0, out});
  if (name == "path_readlink") return guest.call(name, {fd, ptr, len, out, 64, out});
  if (name == "path_symlink") return guest.call(name, {other, 9, fd, ptr, len});
  if (name == "link from") return guest.call("path_link", {fd, 0, ptr, len, kRoot, other, 9});
  if (name == "link to") {
    return guest.call("path_link", {kRoot, 0, guest.store("file"), 4, fd, ptr, len});
  }
  if (name == "rename from") return guest.call("path_rename", {fd, ptr, len, kRoot, other, 9});
  if (name == "rename to") {
    return guest.call("path_rename", {kRoot, guest.store("file"), 4, fd, ptr, len});
  }
  return guest.call(name, {fd, ptr, len});
}

Errno call_with(TestGuest& guest, std::string_view name, uint32_t fd, std::string_view path) {
  return call_with(guest, name, fd, guest.store(path), static_cast<uint32_t>(path.size()));
}

TEST_P(PathTest, EveryFunctionChecksItsPath) {
  for (const OnePath& function : kOnePath) {
    const char* name = function.name;
    EXPECT_EQ(call_with(guest(), name, kRoot, kBad, 2), Errno::kFault) << name;
    EXPECT_EQ(call_with(guest(), name, kRoot, 8, 0xFFFFFFFF), Errno::kFault) << name;
    EXPECT_EQ(call_with(guest(), name, kRoot, ""), Errno::kNoent) << name;
    EXPECT_EQ(call_with(guest(), name, kRoot, "/file"), Errno::kPerm) << name;
    EXPECT_EQ(call_with(guest(), name, kRoot, outside_.path("secret")), Errno::kPerm) << name;
    EXPECT_EQ(call_with(guest(), name, kRoot, std::string_view("fi\0e", 4)), Errno::kInval) << name;
    EXPECT_EQ(call_with(guest(), name, kRoot, "\xFF"), Errno::kIlseq) << name;
    EXPECT_EQ(call_with(guest(), name, kRoot, std::string(256, 'x')), Errno::kNametoolong) << name;
    EXPECT_EQ(call_with(guest(), name, kRoot, std::string(70'000, 'x')), Errno::kNametoolong)
        << name;
    EXPECT_EQ(call_with(guest(), name, kRoot, "none/x"), Errno::kNoent) << name;
    EXPECT_EQ(call_with(guest(), name, kRoot, "file/x"), Errno::kNotdir) << name;
    guest().reset_memory();
  }
  EXPECT_EQ(outside_.read("root/file"), "file");
}

TEST_P(PathTest, EveryFunctionStaysInside) {
  outside_.make_link("..", "root/parent");
  outside_.make_link("/", "root/slash");
  outside_.make_link("../outside", "root/beside");
  for (const OnePath& function : kOnePath) {
    const char* name = function.name;
    for (const char* path : {"..",
                             "../",
                             "../secret",
                             "../outside/x",
                             "../root/file",
                             "dir/../..",
                             "dir/../../secret",
                             "parent/secret",
                             "parent/root/file",
                             "parent/outside/x",
                             "parent/outside/",
                             "slash/no-such-directory/file",
                             "slash/no-such-directory/",
                             "beside/x",
                             "beside/x/",
                             "beside/../secret",
                             "parent/",
                             "slash/",
                             "parent//",
                             "parent/.",
                             "slash/."}) {
      const Errno error = call_with(guest(), name, kRoot, path);
      const std::string_view text = path;
      const bool ends_in_link = text == "parent/" || text == "slash/" || text == "parent//";
      if (ends_in_link) {
        // Some act on the link itself, which is inside; they must say so.
        EXPECT_NE(error, Errno::kSuccess) << name << " " << path;
      } else {
        EXPECT_EQ(error, Errno::kPerm) << name << " " << path;
      }
    }
    guest().reset_memory();
  }
  EXPECT_EQ(outside_.read("secret"), "secret");
  EXPECT_FALSE(outside_.exists("outside/x"));
  EXPECT_TRUE(outside_.exists("outside"));
  EXPECT_TRUE(outside_.exists("root/parent"));
  EXPECT_TRUE(outside_.exists("root/slash"));
}

TEST_P(PathTest, EveryFunctionWantsADirectory) {
  const uint32_t file = guest().must_open(kRoot, "file");
  for (const OnePath& function : kOnePath) {
    const char* name = function.name;
    for (uint32_t fd : {0u, 1u, 99u, 0xFFFFFFFFu}) {
      EXPECT_EQ(call_with(guest(), name, fd, "x"), Errno::kBadf) << name;
    }
    EXPECT_EQ(call_with(guest(), name, file, "x"),
              name == std::string_view("path_open") ? Errno::kNotdir : Errno::kBadf)
        << name;
    guest().reset_memory();
  }
}

TEST_P(PathTest, NothingIsWrittenBelowAReadOnlyPreopen) {
  outside_.make_link("file", "ro/link");
  outside_.make_directory("ro/empty");
  const uint32_t below = guest().must_open(kReadOnlyRoot, "dir");
  const uint32_t file = guest().must_open(kReadOnlyRoot, "file");
  struct stat before;
  ASSERT_EQ(stat(outside_.path("ro/file").c_str(), &before), 0);
  for (const OnePath& function : kOnePath) {
    if (!function.writes) continue;
    for (const char* path : {"file", "new", "link", "empty", "dir/new"}) {
      EXPECT_EQ(call_with(guest(), function.name, kReadOnlyRoot, path), Errno::kPerm)
          << function.name << " " << path;
    }
    EXPECT_EQ(call_with(guest(), function.name, below, "../file"), Errno::kPerm) << function.name;
    EXPECT_EQ(call_with(guest(), function.name, below, "new"), Errno::kPerm) << function.name;
  }
  for (const uint32_t open_flags :
       {oflags::kCreate, oflags::kTruncate, oflags::kCreate | oflags::kExclusive,
        oflags::kCreate | oflags::kTruncate}) {
    for (const char* path : {"file", "new", "link"}) {
      EXPECT_EQ(guest().open(kReadOnlyRoot, path, open_flags, rights::kFdRead).error, Errno::kPerm);
    }
  }
  EXPECT_EQ(guest().open(kReadOnlyRoot, "file", 0, rights::kFdWrite).error, Errno::kPerm);
  EXPECT_EQ(guest().open(below, "new", oflags::kCreate).error, Errno::kPerm);
  // Through descriptors.
  EXPECT_EQ(guest().write(file, "x"), Errno::kBadf);
  EXPECT_EQ(guest().call("fd_pwrite", {file, 0, 0, 0, guest().allocate(4)}), Errno::kBadf);
  EXPECT_EQ(guest().call("fd_filestat_set_size", {file, 0}), Errno::kPerm);
  for (uint32_t fd : {file, below, kReadOnlyRoot}) {
    EXPECT_EQ(guest().call("fd_filestat_set_times", {fd, 0, 0, fstflags::kMtimeNow}), Errno::kPerm);
  }
  for (uint32_t fd : {file, below, kReadOnlyRoot}) {
    EXPECT_EQ(guest().call_own("fd_chmod", {fd, 0666}), Errno::kPerm);
  }
  EXPECT_EQ(guest().call("fd_allocate", {file, 0, 100}), Errno::kNotsup);
  // Under another number it is the same.
  const uint32_t own = guest().must_open(kRoot, "file", 0, kReadWrite);
  ASSERT_EQ(guest().call("fd_renumber", {file, own}), Errno::kSuccess);
  EXPECT_EQ(guest().write(own, "x"), Errno::kBadf);
  EXPECT_EQ(guest().call("fd_filestat_set_size", {own, 0}), Errno::kPerm);
  // Links out of it would be a way to write.
  EXPECT_EQ(guest().link(kReadOnlyRoot, "file", kRoot, "alias"), Errno::kPerm);
  EXPECT_EQ(guest().rename(kReadOnlyRoot, "file", kRoot, "alias"), Errno::kPerm);
  EXPECT_EQ(guest().link(kRoot, "file", kReadOnlyRoot, "alias"), Errno::kPerm);
  EXPECT_EQ(guest().rename(kRoot, "file", kReadOnlyRoot, "alias"), Errno::kPerm);
  // All is as it was, and can be read.
  EXPECT_FALSE(outside_.exists("root/alias"));
  EXPECT_FALSE(outside_.exists("ro/new"));
  EXPECT_EQ(outside_.read("ro/file"), "read only");
  struct stat after;
  ASSERT_EQ(stat(outside_.path("ro/file").c_str(), &after), 0);
  EXPECT_EQ(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
  EXPECT_EQ(before.st_mode, after.st_mode);
  EXPECT_EQ(after.st_nlink, 1u);
  std::string bytes;
  EXPECT_EQ(guest().read(guest().must_open(kReadOnlyRoot, "link"), 20, bytes), Errno::kSuccess);
  EXPECT_EQ(bytes, "read only");
}

TEST_P(PathTest, ALinkFromAWritablePreopenIntoAReadOnlyOneIsRefused) {
  outside_.make_link("../ro/file", "root/to_ro");
  EXPECT_EQ(guest().open(kRoot, "to_ro", 0, kReadWrite).error, Errno::kPerm);
  EXPECT_EQ(guest().open(kRoot, "to_ro", oflags::kTruncate, kReadWrite).error, Errno::kPerm);
  EXPECT_EQ(outside_.read("ro/file"), "read only");
}

TEST_P(PathTest, CreateDirectory) {
  EXPECT_EQ(guest().path_call("path_create_directory", kRoot, "new"), Errno::kSuccess);
  EXPECT_EQ(guest().path_call("path_create_directory", kRoot, "new/sub/"), Errno::kSuccess);
  EXPECT_EQ(guest().path_call("path_create_directory", kRoot, "dir/../new/sub/deep//"),
            Errno::kSuccess);
  EXPECT_TRUE(outside_.exists("root/new/sub/deep"));
  outside_.make_link("none", "root/dangling");
  for (const char* path :
       {"new", "new/", "file", "file/", "dangling", "dangling/", ".", "new/.", "new/sub/.."}) {
    EXPECT_EQ(guest().path_call("path_create_directory", kRoot, path), Errno::kExist) << path;
  }
  EXPECT_FALSE(outside_.exists("root/none"));
}

TEST_P(PathTest, NewFilesHaveThePermissionsThatTheUmaskLeaves) {
  const mode_t before = umask(022);
  const auto mode_of = [this](const char* name) {
    struct stat status {};
    EXPECT_EQ(stat(outside_.path(std::string("root/") + name).c_str(), &status), 0) << name;
    return status.st_mode & 07777;
  };
  const auto make = [this](const std::string& name) {
    guest().must_open(kRoot, name, oflags::kCreate, kReadWrite);
    EXPECT_EQ(guest().path_call("path_create_directory", kRoot, name + ".d"), Errno::kSuccess);
  };
  make("plain");
  EXPECT_EQ(mode_of("plain"), 0644U);
  EXPECT_EQ(mode_of("plain.d"), 0755U);
  ASSERT_EQ(guest().call_own("umask", {077}), Errno::kSuccess);
  make("private");
  EXPECT_EQ(mode_of("private"), 0600U);
  EXPECT_EQ(mode_of("private.d"), 0700U);
  // What is there stays as it is, and nothing is ever given.
  guest().must_open(kRoot, "plain", oflags::kCreate, kReadWrite);
  EXPECT_EQ(mode_of("plain"), 0644U);
  for (const uint32_t bad : {01000U, 04000U, 0x80000000U, 0xffffffffU}) {
    EXPECT_EQ(guest().call_own("umask", {bad}), Errno::kInval) << bad;
  }
  ASSERT_EQ(guest().call_own("umask", {0}), Errno::kSuccess);
  make("again");
  EXPECT_EQ(mode_of("again"), 0644U);
  EXPECT_EQ(mode_of("again.d"), 0755U);
  umask(before);
}

TEST_P(PathTest, Filestat) {
  outside_.make_link("file", "root/link");
  outside_.make_link("dir", "root/to_dir");
  Filestat stat;
  ASSERT_EQ(guest().stat(kRoot, "file", stat), Errno::kSuccess);
  EXPECT_EQ(stat.filetype, FileType::kRegularFile);
  EXPECT_EQ(stat.size, 4u);
  ASSERT_EQ(guest().stat(kRoot, "dir/../dir/", stat), Errno::kSuccess);
  EXPECT_EQ(stat.filetype, FileType::kDirectory);
  ASSERT_EQ(guest().stat(kRoot, "link", stat), Errno::kSuccess);
  EXPECT_EQ(stat.filetype, FileType::kSymbolicLink);
  ASSERT_EQ(guest().stat(kRoot, "link", stat, lookupflags::kSymlinkFollow), Errno::kSuccess);
  EXPECT_EQ(stat.filetype, FileType::kRegularFile);
  ASSERT_EQ(guest().stat(kRoot, "to_dir/", stat), Errno::kSuccess);
  EXPECT_EQ(stat.filetype, FileType::kDirectory);
  ASSERT_EQ(guest().stat(kRoot, ".", stat), Errno::kSuccess);
  EXPECT_EQ(stat.filetype, FileType::kDirectory);
}

TEST_P(PathTest, FilestatErrors) {
  outside_.make_link("loop", "root/loop");
  outside_.make_link("../secret", "root/out");
  Filestat stat;
  EXPECT_EQ(guest().stat(kRoot, "none", stat), Errno::kNoent);
  EXPECT_EQ(guest().stat(kRoot, "file/", stat), Errno::kNotdir);
  EXPECT_EQ(guest().stat(kRoot, "loop", stat, lookupflags::kSymlinkFollow), Errno::kLoop);
  EXPECT_EQ(guest().stat(kRoot, "out", stat, lookupflags::kSymlinkFollow), Errno::kPerm);
  EXPECT_EQ(guest().stat(kRoot, "out", stat), Errno::kSuccess);
  EXPECT_EQ(guest().stat(kRoot, "file", stat, 2), Errno::kInval);
  const uint32_t path = guest().store("file");
  EXPECT_EQ(guest().call("path_filestat_get", {kRoot, 0, path, 4, kBad}), Errno::kFault);
}

TEST_P(PathTest, Stat) {
  outside_.make_link("file", "root/link");
  ASSERT_EQ(chmod(outside_.path("root/file").c_str(), 04751), 0);
  ASSERT_EQ(chmod(outside_.path("root/dir").c_str(), 03751), 0);
  outside_.make_fifo("root/fifo");
  const timespec times[2] = {{-5'000'000'000, 999'999'999}, {-1, 5}};
  ASSERT_EQ(utimensat(AT_FDCWD, outside_.path("root/fifo").c_str(), times, 0), 0);
  const auto status_of = [&](std::string_view path, uint32_t lookup) {
    const uint32_t out = guest().allocate(sizeof(Status));
    EXPECT_EQ(guest().call_own("path_stat", {kRoot, lookup, guest().store(path), path.size(), out}),
              Errno::kSuccess);
    return guest().load<Status>(out);
  };
  struct stat host;
  ASSERT_EQ(stat(outside_.path("root/file").c_str(), &host), 0);
  for (const auto& status : {status_of("file", 0), status_of("link", 1)}) {
    EXPECT_EQ(status.mode, static_cast<uint32_t>(S_IFREG | 0751));
    EXPECT_EQ(status.dev, host.st_dev);
    EXPECT_EQ(status.ino, host.st_ino);
    EXPECT_EQ(status.nlink, 1u);
    EXPECT_EQ(status.size, 4u);
    EXPECT_EQ(status.blocks, static_cast<uint64_t>(host.st_blocks));
    EXPECT_EQ(status.mtim.seconds, host.st_mtim.tv_sec);
    EXPECT_EQ(status.mtim.nanoseconds, host.st_mtim.tv_nsec);
    EXPECT_EQ(status.ctim.nanoseconds, host.st_ctim.tv_nsec);
  }
  EXPECT_EQ(status_of("link", 0).mode & S_IFMT, static_cast<uint32_t>(S_IFLNK));
  EXPECT_EQ(status_of("dir", 0).mode, static_cast<uint32_t>(S_IFDIR | 0751));
  const Status fifo = status_of("fifo", 0);
  EXPECT_EQ(fifo.mode, static_cast<uint32_t>(S_IFIFO | 0600));
  ASSERT_EQ(stat(outside_.path("root/fifo").c_str(), &host), 0);
  EXPECT_EQ(fifo.atim.seconds, host.st_atim.tv_sec);
  EXPECT_EQ(fifo.mtim.seconds, -1);
  EXPECT_EQ(fifo.mtim.nanoseconds, 5u);
}

TEST_P(PathTest, StatErrors) {
  const uint32_t path = guest().store("file");
  const uint32_t out = guest().allocate(sizeof(Status));
  EXPECT_EQ(guest().call_own("path_stat", {kRoot, 2, path, 4, out}), Errno::kInval);
  EXPECT_EQ(guest().call_own("path_stat", {kRoot, 0, path, 3, out}), Errno::kNoent);
  EXPECT_EQ(guest().call_own("path_stat", {kRoot, 0, path, 4, kBad}), Errno::kFault);
  EXPECT_EQ(guest().call_own("path_stat", {kRoot, 0, path, 4, TestGuest::kMemorySize - 95}),
            Errno::kFault);
  EXPECT_EQ(guest().call_own("path_stat", {kRoot, 0, path, 4, TestGuest::kMemorySize - 96}),
            Errno::kSuccess);
}

TEST_P(PathTest, ChmodGivesAndTakesPermissions) {
  outside_.make_link("file", "root/link");
  const auto mode_of = [this](const char* name) {
    struct stat status {};
    EXPECT_EQ(stat(outside_.path(std::string("root/") + name).c_str(), &status), 0) << name;
    return status.st_mode & 07777;
  };
  const auto change = [this](std::string_view name, uint32_t mode) {
    return guest().call_own("path_chmod", {kRoot, guest().store(name), name.size(), mode});
  };
  EXPECT_EQ(change("file", 0400), Errno::kSuccess);
  EXPECT_EQ(mode_of("file"), 0400U);
  EXPECT_EQ(change("file", 0), Errno::kSuccess);
  EXPECT_EQ(mode_of("file"), 0U);
  EXPECT_EQ(change("link", 0640), Errno::kSuccess);
  EXPECT_EQ(mode_of("file"), 0640U);
  // A file never becomes executable, but one that is stays so as far as asked.
  EXPECT_EQ(change("file", 0777), Errno::kSuccess);
  EXPECT_EQ(mode_of("file"), 0666U);
  ASSERT_EQ(chmod(outside_.path("root/file").c_str(), 06750), 0);
  EXPECT_EQ(change("file", 0711), Errno::kSuccess);
  EXPECT_EQ(mode_of("file"), 0710U);
  EXPECT_EQ(change("file", 0600), Errno::kSuccess);
  EXPECT_EQ(change("file", 0700), Errno::kSuccess);
  EXPECT_EQ(mode_of("file"), 0600U);
  // Directories can be searched, and keep what is not the guest's.
  ASSERT_EQ(chmod(outside_.path("root/dir").c_str(), 03700), 0);
  EXPECT_EQ(change("dir/", 0755), Errno::kSuccess);
  EXPECT_EQ(mode_of("dir"), 03755U);
  for (const uint32_t special : {01000U, 02000U, 04000U, 07000U}) {
    EXPECT_EQ(change("file", special | 0600), Errno::kSuccess);
    EXPECT_EQ(mode_of("file"), 0600U);
  }
  for (const uint32_t bad : {010000U, 0100644U, 0x80000000U, 0xffffffffU}) {
    EXPECT_EQ(change("file", bad), Errno::kInval) << bad;
  }
  EXPECT_EQ(mode_of("file"), 0600U);
  EXPECT_EQ(change("none", 0600), Errno::kNoent);
  EXPECT_EQ(change("file/", 0600), Errno::kNotdir);
  outside_.make_link("../secret", "root/out");
  ASSERT_EQ(chmod(outside_.path("secret").c_str(), 0640), 0);
  EXPECT_EQ(change("out", 0666), Errno::kPerm);
  EXPECT_EQ(mode_of("../secret"), 0640U);
}

TEST_P(PathTest, WithExecAFileHasTheModeThatItIsGiven) {
  outside_.write("exec/file", "#!/bin/sh");
  const auto change = [this](std::string_view name, uint32_t mode) {
    return guest().call_own("path_chmod", {kExecRoot, guest().store(name), name.size(), mode});
  };
  const auto mode_seen = [this](std::string_view name) {
    const uint32_t out = guest().allocate(sizeof(Status));
    EXPECT_EQ(guest().call_own("path_stat", {kExecRoot, 0, guest().store(name), name.size(), out}),
              Errno::kSuccess);
    return guest().load<Status>(out).mode & 07777;
  };
  const auto may_execute = [this](std::string_view name) {
    return guest().call_own("path_access", {kExecRoot, guest().store(name), name.size(), 1});
  };
  EXPECT_EQ(may_execute("file"), Errno::kAcces);
  for (const char* name : {"file", "dir"}) {
    for (const uint32_t mode : {07777U, 04755U, 02711U, 01700U, 0755U, 0644U, 0U, 0700U}) {
      EXPECT_EQ(change(name, mode), Errno::kSuccess);
      EXPECT_EQ(mode_seen(name), mode) << name;
    }
  }
  EXPECT_EQ(may_execute("file"), Errno::kSuccess);
  for (const uint32_t bad : {010000U, 0100644U, 0xffffffffU}) {
    EXPECT_EQ(change("file", bad), Errno::kInval) << bad;
  }
  // What is opened beneath it is so, too; what is made has no more than elsewhere.
  const uint32_t dir = guest().must_open(kExecRoot, "dir");
  const uint32_t made = guest().must_open(dir, "made", oflags::kCreate, kReadWrite);
  struct stat status {};
  ASSERT_EQ(stat(outside_.path("exec/dir/made").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0111, 0U);
  EXPECT_EQ(guest().call_own("fd_chmod", {made, 04711}), Errno::kSuccess);
  const uint32_t out = guest().allocate(sizeof(Status));
  EXPECT_EQ(guest().call_own("fd_stat", {made, out}), Errno::kSuccess);
  EXPECT_EQ(guest().load<Status>(out).mode & 07777, 04711U);
}

TEST_P(PathTest, NoFileIsBothWithAndWithoutExec) {
  outside_.write("exec/file", "");
  struct Place {
    uint32_t fd;
    std::string_view name;
  };
  const auto call = [this](std::string_view function, Place from, Place to) {
    const uint32_t old_path = guest().store(from.name);
    const uint32_t new_path = guest().store(to.name);
    if (function == "path_link") {
      return guest().call(function, {from.fd, 0, old_path, from.name.size(), to.fd, new_path,
                                     to.name.size()});
    }
    return guest().call(function,
                        {from.fd, old_path, from.name.size(), to.fd, new_path, to.name.size()});
  };
  for (const std::string_view function : {"path_link", "path_rename"}) {
    EXPECT_EQ(call(function, {kRoot, "file"}, {kExecRoot, "new"}), Errno::kXdev) << function;
    EXPECT_EQ(call(function, {kExecRoot, "file"}, {kRoot, "new"}), Errno::kXdev) << function;
    EXPECT_EQ(call(function, {kExecRoot, "file"}, {kExecRoot, "dir/" + std::string(function)}),
              Errno::kSuccess)
        << function;
  }
  EXPECT_EQ(call("path_rename", {kRoot, "dir"}, {kExecRoot, "dir"}), Errno::kXdev);
  EXPECT_EQ(call("path_rename", {kExecRoot, "dir"}, {kRoot, "dir"}), Errno::kXdev);
}

TEST_P(PathTest, AccessIsWhatTheMappingAndTheFileAllow) {
  const auto may = [this](uint32_t fd, std::string_view name, uint32_t mode) {
    return guest().call_own("path_access", {fd, guest().store(name), name.size(), mode});
  };
  constexpr uint32_t kSearch = 1;
  constexpr uint32_t kWrite = 2;
  constexpr uint32_t kRead = 4;
  for (const char* name : {"file", "dir", "dir/"}) {
    for (const uint32_t mode : {0u, kRead, kWrite, kRead | kWrite}) {
      EXPECT_EQ(may(kRoot, name, mode), Errno::kSuccess) << name << mode;
      EXPECT_EQ(may(kReadOnlyRoot, name, mode),
                (mode & kWrite) != 0 ? Errno::kPerm : Errno::kSuccess)
          << name << mode;
    }
  }
  EXPECT_EQ(may(kRoot, "dir", kSearch), Errno::kSuccess);
  ASSERT_EQ(chmod(outside_.path("root/file").c_str(), 0777), 0);
  EXPECT_EQ(may(kRoot, "file", kSearch), Errno::kAcces);
  EXPECT_EQ(may(kRoot, "none", 0), Errno::kNoent);
  for (const uint32_t bad : {8u, 0x80000000u, 0xffffffffu}) {
    EXPECT_EQ(may(kRoot, "file", bad), Errno::kInval);
  }
  outside_.make_link("../secret", "root/out");
  EXPECT_EQ(may(kRoot, "out", 0), Errno::kPerm);
}

// As a child of httpd, which has given up being root.
TEST_P(PathTest, AccessAndChmodAreThoseOfTheServersUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  constexpr uid_t kNobody = 65534;
  outside_.write("root/own", "");
  ASSERT_EQ(chown(outside_.path("root/own").c_str(), kNobody, kNobody), 0);
  ASSERT_EQ(chmod(outside_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(outside_.path("root/file").c_str(), 0644), 0);
  ASSERT_EQ(chmod(outside_.path("root/dir").c_str(), 0766), 0);
  const auto may = [this](std::string_view name, uint32_t mode) {
    return guest().call_own("path_access", {kRoot, guest().store(name), name.size(), mode});
  };
  const auto change = [this](std::string_view name, uint32_t mode) {
    return guest().call_own("path_chmod", {kRoot, guest().store(name), name.size(), mode});
  };
  const auto as_nobody = [&] {
    return setgid(kNobody) == 0 && setuid(kNobody) == 0 && may("file", 4) == Errno::kSuccess &&
           may("file", 2) == Errno::kAcces && may("dir", 2) == Errno::kSuccess &&
           may("dir", 1) == Errno::kAcces && change("file", 0666) == Errno::kPerm &&
           change("own", 0400) == Errno::kSuccess && may("own", 2) == Errno::kAcces &&
           change("own", 0) == Errno::kSuccess && may("own", 4) == Errno::kAcces &&
           change("own", 0640) == Errno::kSuccess && may("own", 6) == Errno::kSuccess;
  };
  EXPECT_EXIT(std::exit(as_nobody() ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST_P(PathTest, TimesBefore1970) {
  outside_.make_link("file", "root/link");
  const uint32_t path = guest().store("link");
  const Time times[2] = {{.seconds = -100, .nanoseconds = 7}, {.seconds = -1, .nanoseconds = 8}};
  const uint32_t in = guest().store({reinterpret_cast<const char*>(times), sizeof(times)});
  using namespace fstflags;
  ASSERT_EQ(guest().call_own("path_set_times", {kRoot, 1, path, 4, in, kAtime | kMtime}),
            Errno::kSuccess);
  struct stat status;
  ASSERT_EQ(stat(outside_.path("root/file").c_str(), &status), 0);
  EXPECT_EQ(status.st_atim.tv_sec, -100);
  EXPECT_EQ(status.st_mtim.tv_sec, -1);
  EXPECT_EQ(status.st_mtim.tv_nsec, 8);
  EXPECT_EQ(guest().call_own("path_set_times", {kRoot, 2, path, 4, in, kMtime}), Errno::kInval);
  EXPECT_EQ(guest().call_own("path_set_times", {kRoot, 1, path, 4, in, 16}), Errno::kInval);
  EXPECT_EQ(guest().call_own("path_set_times", {kRoot, 1, path, 4, in, kMtime | kMtimeNow}),
            Errno::kInval);
  EXPECT_EQ(guest().call_own("path_set_times", {kRoot, 1, path, 4, kBad, kMtime}), Errno::kFault);
  EXPECT_EQ(guest().call_own("path_set_times", {kReadOnlyRoot, 1, path, 4, in, kMtime}),
            Errno::kPerm);
  for (const uint32_t bad : {1'000'000'000u, uint32_t{UTIME_NOW}, uint32_t{UTIME_OMIT}, ~0u}) {
    const Time wrong[2] = {{.seconds = 0, .nanoseconds = 0}, {.seconds = 0, .nanoseconds = bad}};
    const uint32_t at = guest().store({reinterpret_cast<const char*>(wrong), sizeof(wrong)});
    EXPECT_EQ(guest().call_own("path_set_times", {kRoot, 1, path, 4, at, kMtime}), Errno::kInval);
  }
  ASSERT_EQ(stat(outside_.path("root/file").c_str(), &status), 0);
  EXPECT_EQ(status.st_mtim.tv_sec, -1);
}

TEST_P(PathTest, DiskSpace) {
  const auto space = [this](std::string_view name, uint32_t out) {
    return guest().call_own("path_disk_space", {kRoot, guest().store(name), name.size(), out});
  };
  struct statvfs host;
  ASSERT_EQ(statvfs(outside_.path("root").c_str(), &host), 0);
  for (const char* name : {".", "dir/", "file"}) {
    const uint32_t out = guest().allocate(sizeof(DiskSpace));
    ASSERT_EQ(space(name, out), Errno::kSuccess) << name;
    const auto told = guest().load<DiskSpace>(out);
    EXPECT_EQ(told.block_size, host.f_frsize);
    EXPECT_EQ(told.blocks, host.f_blocks);
    EXPECT_LE(told.available, told.blocks);
    EXPECT_LE(told.free, told.blocks);
  }
  EXPECT_EQ(space("none", 0), Errno::kNoent);
  EXPECT_EQ(space("file", kBad), Errno::kFault);
  EXPECT_EQ(space("file", TestGuest::kMemorySize - 31), Errno::kFault);
}

TEST_P(PathTest, SetTimes) {
  outside_.make_link("file", "root/link");
  const uint32_t link = guest().store("link");
  const auto mtim = [&](std::string_view path) {
    Filestat stat;
    EXPECT_EQ(guest().stat(kRoot, path, stat), Errno::kSuccess);
    return stat.mtim;
  };
  using namespace fstflags;
  ASSERT_EQ(guest().call("path_filestat_set_times", {kRoot, 1, link, 4, 5'000, 6'000, kMtime}),
            Errno::kSuccess);
  EXPECT_EQ(mtim("file"), 6'000u);
  EXPECT_NE(mtim("link"), 6'000u);
  ASSERT_EQ(guest().call("path_filestat_set_times", {kRoot, 0, link, 4, 5'000, 7'000, kMtime}),
            Errno::kSuccess);
  EXPECT_EQ(mtim("file"), 6'000u);
  EXPECT_EQ(mtim("link"), 7'000u);
  ASSERT_EQ(guest().call("path_filestat_set_times", {kRoot, 1, link, 4, 5'000, 0, kMtimeNow}),
            Errno::kSuccess);
  EXPECT_GT(mtim("file"), 6'000u);
}

TEST_P(PathTest, SetTimesErrors) {
  outside_.make_link("../secret", "root/out");
  const uint32_t file = guest().store("file");
  const uint32_t out = guest().store("out");
  const uint32_t none = guest().store("none");
  using namespace fstflags;
  EXPECT_EQ(guest().call("path_filestat_set_times", {kRoot, 1, none, 4, 0, 0, kMtime}),
            Errno::kNoent);
  EXPECT_EQ(guest().call("path_filestat_set_times", {kRoot, 1, out, 3, 0, 0, kMtime}),
            Errno::kPerm);
  for (uint32_t flags : {kMtime | kMtimeNow, kAtime | kAtimeNow, 1u << 4}) {
    EXPECT_EQ(guest().call("path_filestat_set_times", {kRoot, 1, file, 4, 0, 0, flags}),
              Errno::kInval);
  }
  EXPECT_EQ(guest().call("path_filestat_set_times", {kRoot, 2, file, 4, 0, 0, kMtime}),
            Errno::kInval);
}

TEST_P(PathTest, Link) {
  EXPECT_EQ(guest().link(kRoot, "file", kRoot, "dir/alias"), Errno::kSuccess);
  EXPECT_EQ(outside_.read("root/dir/alias"), "file");
  Filestat stat;
  ASSERT_EQ(guest().stat(kRoot, "file", stat), Errno::kSuccess);
  EXPECT_EQ(stat.nlink, 2u);
  // A link to a link, wherever that leads.
  outside_.make_link("../secret", "root/out");
  EXPECT_EQ(guest().link(kRoot, "out", kRoot, "out2"), Errno::kSuccess);
  std::string target;
  EXPECT_EQ(guest().readlink(kRoot, "out2", target), Errno::kSuccess);
  EXPECT_EQ(target, "../secret");
}

TEST_P(PathTest, LinkErrors) {
  outside_.make_link("none", "root/dangling");
  outside_.make_link("dir", "root/to_dir");
  EXPECT_EQ(guest().link(kRoot, "none", kRoot, "new"), Errno::kNoent);
  EXPECT_EQ(guest().link(kRoot, "file", kRoot, "file"), Errno::kExist);
  EXPECT_EQ(guest().link(kRoot, "file", kRoot, "dir"), Errno::kExist);
  EXPECT_EQ(guest().link(kRoot, "file", kRoot, "dangling"), Errno::kExist);
  EXPECT_EQ(guest().link(kRoot, "file", kRoot, "dir/."), Errno::kExist);
  EXPECT_EQ(guest().link(kRoot, "file", kRoot, "new/"), Errno::kNoent);
  EXPECT_EQ(guest().link(kRoot, "file", kRoot, "dir/"), Errno::kExist);
  EXPECT_EQ(guest().link(kRoot, "file", kRoot, "to_dir//"), Errno::kExist);
  EXPECT_EQ(guest().link(kRoot, "dir", kRoot, "new"), Errno::kPerm);
  EXPECT_EQ(guest().link(kRoot, "dir/", kRoot, "new"), Errno::kPerm);
  EXPECT_EQ(guest().link(kRoot, ".", kRoot, "new"), Errno::kPerm);
  EXPECT_EQ(guest().link(kRoot, "file/", kRoot, "new"), Errno::kNotdir);
  EXPECT_EQ(guest().link(kRoot, "dangling/", kRoot, "new"), Errno::kNoent);
  EXPECT_EQ(guest().link(kRoot, "file", kRoot, "new", lookupflags::kSymlinkFollow), Errno::kInval);
  EXPECT_EQ(guest().link(kRoot, "file", kRoot, "new", 2), Errno::kInval);
  EXPECT_FALSE(outside_.exists("root/new"));
}

TEST_P(PathTest, OpenCreatesTruncatesAndRefuses) {
  const uint32_t fd = guest().must_open(kRoot, "new", oflags::kCreate, kReadWrite);
  EXPECT_EQ(guest().write(fd, "content"), Errno::kSuccess);
  (void)guest().must_open(kRoot, "new", oflags::kCreate, kReadWrite);
  EXPECT_EQ(outside_.read("root/new"), "content");
  (void)guest().must_open(kRoot, "new", oflags::kTruncate, kReadWrite);
  EXPECT_EQ(outside_.read("root/new"), "");
  (void)guest().must_open(kRoot, "new2", oflags::kCreate | oflags::kExclusive, kReadWrite);
  EXPECT_TRUE(outside_.exists("root/new2"));
  EXPECT_EQ(guest().open(kRoot, "new2", oflags::kCreate | oflags::kExclusive).error, Errno::kExist);
  EXPECT_EQ(guest().open(kRoot, "none").error, Errno::kNoent);
  EXPECT_EQ(guest().open(kRoot, "dir", oflags::kCreate).error, Errno::kIsdir);
  EXPECT_EQ(guest().open(kRoot, "dir", 0, rights::kFdWrite).error, Errno::kIsdir);
  EXPECT_EQ(guest().open(kRoot, "file", oflags::kDirectory).error, Errno::kNotdir);
  EXPECT_EQ(guest().open(kRoot, "file/").error, Errno::kNotdir);
  EXPECT_EQ(guest().open(kRoot, "new3/", oflags::kCreate).error, Errno::kIsdir);
  EXPECT_FALSE(outside_.exists("root/new3"));
}

TEST_P(PathTest, OpenFollowsAsAsked) {
  outside_.make_link("file", "root/link");
  outside_.make_link("loop", "root/loop");
  const auto open = [&](std::string_view path, uint32_t lookup, uint32_t open_flags = 0) {
    return guest().open(kRoot, path, open_flags, rights::kFdRead, 0, lookup).error;
  };
  EXPECT_EQ(open("link", 1), Errno::kSuccess);
  EXPECT_EQ(open("link", 0), Errno::kLoop);
  EXPECT_EQ(open("loop", 1), Errno::kLoop);
  EXPECT_EQ(open("loop", 0), Errno::kLoop);
  EXPECT_EQ(open("link", 1, oflags::kCreate | oflags::kExclusive), Errno::kExist);
}

TEST_P(PathTest, OpenRefusesFlagsItDoesNotKnowOrOffer) {
  const auto open = [&](uint32_t lookup, uint32_t open_flags, uint32_t fd_flags) {
    return guest().open(kRoot, "file", open_flags, rights::kFdRead, fd_flags, lookup).error;
  };
  EXPECT_EQ(open(2, 0, 0), Errno::kInval);
  EXPECT_EQ(open(0, 1 << 4, 0), Errno::kInval);
  EXPECT_EQ(open(0, 0, 1 << 5), Errno::kInval);
  EXPECT_EQ(open(0, oflags::kDirectory | oflags::kCreate, 0), Errno::kInval);
  EXPECT_EQ(open(0, oflags::kDirectory | oflags::kTruncate, 0), Errno::kInval);
  EXPECT_EQ(open(0, oflags::kDirectory | oflags::kExclusive, 0), Errno::kInval);
  for (uint32_t flag : {fdflags::kSync, fdflags::kDsync, fdflags::kRsync}) {
    EXPECT_EQ(open(0, 0, flag), Errno::kNotsup);
  }
  EXPECT_EQ(open(0, 0, fdflags::kAppend | fdflags::kNonblock), Errno::kSuccess);
}

TEST_P(PathTest, OpenChecksItsResultPointerFirst) {
  const uint32_t path = guest().store("new");
  EXPECT_EQ(guest().call("path_open", {kRoot, 0, path, 3, oflags::kCreate, 0, 0, 0, kBad}),
            Errno::kFault);
  EXPECT_FALSE(outside_.exists("root/new"));
}

TEST_P(PathTest, OpenedDirectoriesAreRootsThemselves) {
  outside_.write("root/dir/inner", "inner");
  const uint32_t dir = guest().must_open(kRoot, "dir");
  EXPECT_EQ(guest().open(dir, "inner").error, Errno::kSuccess);
  EXPECT_EQ(guest().open(dir, "../file").error, Errno::kPerm);
  EXPECT_EQ(guest().open(dir, "..").error, Errno::kPerm);
}

TEST_P(PathTest, Readlink) {
  outside_.make_link("dir/some target", "root/link");
  std::string target;
  ASSERT_EQ(guest().readlink(kRoot, "link", target), Errno::kSuccess);
  EXPECT_EQ(target, "dir/some target");
  const uint32_t path = guest().store("link");
  const uint32_t out = guest().allocate(16);
  ASSERT_EQ(guest().call("path_readlink", {kRoot, path, 4, out, 3, out + 8}), Errno::kSuccess);
  EXPECT_EQ(guest().text(out, 4), std::string("dir\0", 4));
  EXPECT_EQ(guest().load<uint32_t>(out + 8), 3u);
}

TEST_P(PathTest, ReadlinkErrors) {
  outside_.make_link("dir", "root/link");
  outside_.make_link("\xFF", "root/bytes");
  std::string target;
  EXPECT_EQ(guest().readlink(kRoot, "file", target), Errno::kInval);
  EXPECT_EQ(guest().readlink(kRoot, "dir", target), Errno::kInval);
  EXPECT_EQ(guest().readlink(kRoot, "link/", target), Errno::kInval);
  EXPECT_EQ(guest().readlink(kRoot, "none", target), Errno::kNoent);
  EXPECT_EQ(guest().readlink(kRoot, "bytes", target), Errno::kIlseq);
  const uint32_t path = guest().store("link");
  EXPECT_EQ(guest().call("path_readlink", {kRoot, path, 4, kBad, 3, path}), Errno::kFault);
  EXPECT_EQ(guest().call("path_readlink", {kRoot, path, 4, path, 3, kBad}), Errno::kFault);
}

TEST_P(PathTest, RemoveDirectory) {
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "dir"), Errno::kSuccess);
  EXPECT_FALSE(outside_.exists("root/dir"));
  outside_.make_directory("root/a/b/c");
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "a/b/c//"), Errno::kSuccess);
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "a/../a/b"), Errno::kSuccess);
}

TEST_P(PathTest, RemoveDirectoryErrors) {
  outside_.make_link("dir", "root/link");
  outside_.write("root/dir/inner", "");
  outside_.make_directory("root/empty/sub");
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "none"), Errno::kNoent);
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "dir"), Errno::kNotempty);
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "file"), Errno::kNotdir);
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "file/"), Errno::kNotdir);
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "link"), Errno::kNotdir);
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "link/"), Errno::kNotdir);
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "."), Errno::kInval);
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "empty/."), Errno::kInval);
  EXPECT_EQ(guest().path_call("path_remove_directory", kRoot, "empty/sub/.."), Errno::kNotempty);
}

TEST_P(PathTest, Rename) {
  EXPECT_EQ(guest().rename(kRoot, "file", kRoot, "dir/moved"), Errno::kSuccess);
  EXPECT_EQ(outside_.read("root/dir/moved"), "file");
  outside_.write("root/other", "other");
  EXPECT_EQ(guest().rename(kRoot, "dir/moved", kRoot, "other"), Errno::kSuccess);
  EXPECT_EQ(outside_.read("root/other"), "file");
  EXPECT_EQ(guest().rename(kRoot, "dir/", kRoot, "dir2/"), Errno::kSuccess);
  EXPECT_TRUE(outside_.exists("root/dir2"));
  const uint32_t dir = guest().must_open(kRoot, "dir2");
  EXPECT_EQ(guest().rename(kRoot, "other", dir, "inner"), Errno::kSuccess);
  EXPECT_EQ(outside_.read("root/dir2/inner"), "file");
  // Links are moved, not followed.
  outside_.make_link("../secret", "root/out");
  EXPECT_EQ(guest().rename(kRoot, "out", kRoot, "out2"), Errno::kSuccess);
  outside_.write("root/plain", "plain");
  EXPECT_EQ(guest().rename(kRoot, "plain", kRoot, "out2"), Errno::kSuccess);
  EXPECT_EQ(outside_.read("root/out2"), "plain");
  EXPECT_EQ(outside_.read("secret"), "secret");
}

TEST_P(PathTest, RenameErrors) {
  outside_.make_directory("root/full/sub");
  outside_.make_link("dir", "root/link");
  outside_.make_link("../outside", "root/out");
  EXPECT_EQ(guest().rename(kRoot, "none", kRoot, "new"), Errno::kNoent);
  EXPECT_EQ(guest().rename(kRoot, "none/", kRoot, "new"), Errno::kNoent);
  EXPECT_EQ(guest().rename(kRoot, "file", kRoot, "dir"), Errno::kIsdir);
  EXPECT_EQ(guest().rename(kRoot, "dir", kRoot, "file"), Errno::kNotdir);
  EXPECT_EQ(guest().rename(kRoot, "dir", kRoot, "full"), Errno::kNotempty);
  EXPECT_EQ(guest().rename(kRoot, "dir", kRoot, "dir/inner"), Errno::kInval);
  EXPECT_EQ(guest().rename(kRoot, "file/", kRoot, "new"), Errno::kNotdir);
  EXPECT_EQ(guest().rename(kRoot, "file", kRoot, "new/"), Errno::kNotdir);
  EXPECT_EQ(guest().rename(kRoot, "link/", kRoot, "new"), Errno::kNotdir);
  EXPECT_EQ(guest().rename(kRoot, "dir", kRoot, "link/"), Errno::kNotdir);
  EXPECT_EQ(guest().rename(kRoot, "dir", kRoot, "out/"), Errno::kNotdir);
  EXPECT_EQ(guest().rename(kRoot, ".", kRoot, "new"), Errno::kBusy);
  EXPECT_EQ(guest().rename(kRoot, "dir/.", kRoot, "new"), Errno::kBusy);
  EXPECT_EQ(guest().rename(kRoot, "file", kRoot, "dir/.."), Errno::kBusy);
  EXPECT_EQ(outside_.read("root/file"), "file");
  EXPECT_TRUE(outside_.exists("root/dir"));
}

TEST_P(PathTest, Symlink) {
  EXPECT_EQ(guest().symlink("../file", kRoot, "dir/link"), Errno::kSuccess);
  std::string target;
  EXPECT_EQ(guest().readlink(kRoot, "dir/link", target), Errno::kSuccess);
  EXPECT_EQ(target, "../file");
  EXPECT_EQ(guest().open(kRoot, "dir/link").error, Errno::kSuccess);
  // What leads out may be written down, and is not followed.
  EXPECT_EQ(guest().symlink("../../secret", kRoot, "dir/out"), Errno::kSuccess);
  EXPECT_EQ(guest().open(kRoot, "dir/out").error, Errno::kPerm);
}

TEST_P(PathTest, SymlinkErrors) {
  outside_.make_link("none", "root/dangling");
  EXPECT_EQ(guest().symlink("/etc/passwd", kRoot, "new"), Errno::kPerm);
  EXPECT_EQ(guest().symlink("", kRoot, "new"), Errno::kNoent);
  EXPECT_EQ(guest().symlink("\xFF", kRoot, "new"), Errno::kIlseq);
  EXPECT_EQ(guest().symlink(std::string(5000, 'x'), kRoot, "new"), Errno::kNametoolong);
  EXPECT_EQ(guest().symlink("target", kRoot, "file"), Errno::kExist);
  EXPECT_EQ(guest().symlink("target", kRoot, "dir"), Errno::kExist);
  EXPECT_EQ(guest().symlink("target", kRoot, "dangling"), Errno::kExist);
  EXPECT_EQ(guest().symlink("target", kRoot, "."), Errno::kExist);
  EXPECT_EQ(guest().symlink("target", kRoot, "new/"), Errno::kNoent);
  EXPECT_EQ(guest().symlink("target", kRoot, "file/"), Errno::kNotdir);
  EXPECT_EQ(guest().symlink("target", kRoot, "dir//"), Errno::kExist);
  EXPECT_EQ(guest().call("path_symlink", {kBad, 2, kRoot, guest().store("new"), 3}), Errno::kFault);
  EXPECT_FALSE(outside_.exists("root/new"));
}

TEST_P(PathTest, UnlinkFile) {
  outside_.make_link("../secret", "root/out");
  EXPECT_EQ(guest().path_call("path_unlink_file", kRoot, "out"), Errno::kSuccess);
  EXPECT_TRUE(outside_.exists("secret"));
  EXPECT_EQ(guest().path_call("path_unlink_file", kRoot, "dir/../file"), Errno::kSuccess);
  EXPECT_FALSE(outside_.exists("root/file"));
}

TEST_P(PathTest, UnlinkFileErrors) {
  outside_.make_link("dir", "root/link");
  outside_.make_link("../outside", "root/out");
  EXPECT_EQ(guest().path_call("path_unlink_file", kRoot, "none"), Errno::kNoent);
  EXPECT_EQ(guest().path_call("path_unlink_file", kRoot, "none/"), Errno::kNoent);
  EXPECT_EQ(guest().path_call("path_unlink_file", kRoot, "dir"), Errno::kIsdir);
  EXPECT_EQ(guest().path_call("path_unlink_file", kRoot, "dir///"), Errno::kIsdir);
  EXPECT_EQ(guest().path_call("path_unlink_file", kRoot, "."), Errno::kIsdir);
  EXPECT_EQ(guest().path_call("path_unlink_file", kRoot, "file/"), Errno::kNotdir);
  EXPECT_EQ(guest().path_call("path_unlink_file", kRoot, "link/"), Errno::kNotdir);
  EXPECT_EQ(guest().path_call("path_unlink_file", kRoot, "out/"), Errno::kNotdir);
  EXPECT_TRUE(outside_.exists("root/link"));
  EXPECT_TRUE(outside_.exists("outside"));
}

TEST_P(PathTest, ProcUnderAPreopenLeadsNowhere) {
  TestGuest guest({Preopen{"/proc", "/proc", true}}, GetParam());
  for (const char* path : {"self/root/etc/passwd", "self/cwd/..", "self/exe", "self/fd/0",
                           "thread-self/root", "self/root/", "1/root/etc/passwd"}) {
    const Errno error = guest.open(kRoot, path).error;
    EXPECT_TRUE(error == Errno::kLoop || error == Errno::kPerm || error == Errno::kAcces ||
                error == Errno::kNoent)
        << path << ": " << static_cast<int>(error);
  }
  EXPECT_EQ(guest.open(kRoot, "self/stat").error, Errno::kSuccess);
}

TEST_P(PathTest, NoFunctionEscapesWhileTheTreeIsSwapped) {
  // "swing" is by turns a directory, a link to the outside and missing.
  outside_.make_directory("root/inner");
  outside_.write("root/inner/name", "inside");
  outside_.write("outside/name", "outside");
  outside_.make_link("../outside", "root/evil");
  const UniqueFd root(::open(outside_.path("root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::atomic<bool> done = false;
  std::thread swapper([&] {
    while (!done) {
      renameat(root.get(), "inner", root.get(), "swing");
      renameat(root.get(), "swing", root.get(), "inner");
      renameat(root.get(), "evil", root.get(), "swing");
      renameat(root.get(), "swing", root.get(), "evil");
    }
  });
  int escaped = 0;
  constexpr int kRounds = 100'000;
  for (int i = 0; i < kRounds; ++i) {
    guest().reset_memory();
    switch (i % 9) {
      case 0: {
        const auto opened = guest().open(kRoot, "swing/name", 0, kReadWrite);
        if (opened.error != Errno::kSuccess) break;
        std::string bytes;
        (void)guest().read(opened.fd, 20, bytes);
        escaped += bytes != "inside";
        (void)guest().call("fd_close", {opened.fd});
        break;
      }
      case 1: {
        const auto opened = guest().open(kRoot, "swing/new", oflags::kCreate | oflags::kTruncate);
        if (opened.error == Errno::kSuccess) (void)guest().call("fd_close", {opened.fd});
        break;
      }
      case 2:
        (void)guest().path_call("path_create_directory", kRoot, "swing/made/");
        (void)guest().path_call("path_remove_directory", kRoot, "swing/made/");
        break;
      case 3:
        (void)guest().rename(kRoot, "file", kRoot, "swing/file");
        (void)guest().rename(kRoot, "swing/file", kRoot, "file");
        break;
      case 4:
        (void)guest().link(kRoot, "swing/name", kRoot, "alias");
        if (outside_.exists("root/alias")) {
          escaped += outside_.read("root/alias") != "inside";
          (void)guest().path_call("path_unlink_file", kRoot, "alias");
        }
        break;
      case 5:
        (void)guest().symlink("target", kRoot, "swing/link");
        (void)guest().path_call("path_unlink_file", kRoot, "swing/link");
        break;
      case 6: {
        Filestat stat;
        if (guest().stat(kRoot, "swing/name", stat) == Errno::kSuccess) escaped += stat.size != 6;
        break;
      }
      case 7: {
        const uint32_t path = guest().store("swing/name");
        (void)guest().call_own("path_chmod", {kRoot, path, 10, 0602});
        break;
      }
      default: {
        const uint32_t path = guest().store("swing/");
        (void)guest().call("path_filestat_set_times", {kRoot, 1, path, 6, 0, 0, fstflags::kMtime});
        break;
      }
    }
  }
  done = true;
  swapper.join();
  EXPECT_EQ(escaped, 0);
  EXPECT_EQ(outside_.read("outside/name"), "outside");
  for (const char* name : {"made", "file", "link", "new"}) {
    EXPECT_FALSE(outside_.exists(std::string("outside/") + name)) << name;
  }
  struct stat status;
  ASSERT_EQ(stat(outside_.path("outside/name").c_str(), &status), 0);
  EXPECT_NE(status.st_mode & 0777, 0602u);
  ASSERT_EQ(stat(outside_.path("outside").c_str(), &status), 0);
  EXPECT_NE(status.st_mtim.tv_sec, 0);
}

}  // namespace
}  // namespace wasmrt::wasi
