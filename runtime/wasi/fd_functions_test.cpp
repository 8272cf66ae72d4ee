// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "wasi/test_support.h"

namespace wasmrt::wasi {
namespace {

constexpr uint32_t kRoot = TestGuest::kRoot;
constexpr uint32_t kReadOnlyRoot = kRoot + 1;
constexpr uint32_t kBad = TestGuest::kBadPointer;
constexpr uint64_t kReadWrite = rights::kFdRead | rights::kFdWrite;

class FdTest : public testing::Test {
 protected:
  FdTest() : guest_({{"/", directory_.path()}, {"ro", directory_.path(), true}}) {}

  Fdstat fdstat(uint32_t fd) {
    const uint32_t out = guest_.allocate(sizeof(Fdstat));
    EXPECT_EQ(guest_.call("fd_fdstat_get", {fd, out}), Errno::kSuccess) << fd;
    return guest_.load<Fdstat>(out);
  }
  Filestat filestat(uint32_t fd) {
    const uint32_t out = guest_.allocate(sizeof(Filestat));
    EXPECT_EQ(guest_.call("fd_filestat_get", {fd, out}), Errno::kSuccess) << fd;
    return guest_.load<Filestat>(out);
  }

  TemporaryDirectory directory_;
  TestGuest guest_;
};

TEST_F(FdTest, AdviseTakesEveryAdviceForFiles) {
  directory_.write("file", "content");
  const uint32_t file = guest_.must_open(kRoot, "file");
  for (uint32_t advice = 0; advice <= 5; ++advice) {
    EXPECT_EQ(guest_.call("fd_advise", {file, 0, 4, advice}), Errno::kSuccess) << advice;
  }
  EXPECT_EQ(guest_.call("fd_advise", {file, 0, 0, 0}), Errno::kSuccess);
  EXPECT_EQ(guest_.call("fd_advise", {file, 0, 4, 6}), Errno::kInval);
  EXPECT_EQ(guest_.call("fd_advise", {file, uint64_t{1} << 63, 4, 0}), Errno::kInval);
  EXPECT_EQ(guest_.call("fd_advise", {file, 0, ~uint64_t{0}, 0}), Errno::kInval);
  for (uint32_t fd : {0u, 1u, kRoot, 99u}) {
    EXPECT_EQ(guest_.call("fd_advise", {fd, 0, 4, 0}), Errno::kBadf) << fd;
  }
}

TEST_F(FdTest, AdviseOfAFifo) {
  directory_.make_fifo("fifo");
  const uint32_t fifo = guest_.must_open(kRoot, "fifo");
  EXPECT_EQ(guest_.call("fd_advise", {fifo, 0, 4, 0}), Errno::kSpipe);
}

TEST_F(FdTest, AllocateIsNotSupported) {
  directory_.write("file", "content");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, kReadWrite);
  EXPECT_EQ(guest_.call("fd_allocate", {file, 0, 1000}), Errno::kNotsup);
  EXPECT_EQ(directory_.read("file"), "content");
  for (uint32_t fd : {0u, kRoot, 99u}) {
    EXPECT_EQ(guest_.call("fd_allocate", {fd, 0, 1}), Errno::kBadf) << fd;
  }
}

TEST_F(FdTest, CloseFreesTheNumber) {
  directory_.write("file", "content");
  const uint32_t a = guest_.must_open(kRoot, "file");
  const uint32_t b = guest_.must_open(kRoot, "file");
  EXPECT_EQ(a, 5u);
  EXPECT_EQ(b, 6u);
  EXPECT_EQ(guest_.call("fd_close", {a}), Errno::kSuccess);
  EXPECT_EQ(guest_.call("fd_close", {a}), Errno::kBadf);
  EXPECT_EQ(guest_.must_open(kRoot, "file"), a);
  EXPECT_EQ(guest_.call("fd_close", {0}), Errno::kSuccess);
  EXPECT_EQ(guest_.must_open(kRoot, "file"), 0u);
  EXPECT_EQ(guest_.must_open(kRoot, "file"), 7u);
  EXPECT_EQ(guest_.call("fd_close", {kReadOnlyRoot}), Errno::kSuccess);
  EXPECT_EQ(guest_.open(kReadOnlyRoot, "file").error, Errno::kBadf);
  EXPECT_EQ(guest_.call("fd_close", {0xFFFFFFFF}), Errno::kBadf);
}

TEST_F(FdTest, CloseGivesTheHostsDescriptorBack) {
  directory_.write("file", "content");
  const auto open_on_host = [] {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += fcntl(fd, F_GETFD) >= 0;
    return count;
  };
  (void)guest_.must_open(kRoot, "file");
  const int before = open_on_host();
  const uint32_t fd = guest_.must_open(kRoot, "file");
  EXPECT_EQ(open_on_host(), before + 1);
  EXPECT_EQ(guest_.call("fd_close", {fd}), Errno::kSuccess);
  EXPECT_EQ(open_on_host(), before);
}

TEST_F(FdTest, DescriptorsAreBounded) {
  directory_.write("file", "content");
  TestGuest guest({{"/", directory_.path()}}, PathWalk::kAutomatic, 20);
  uint32_t last = 0;
  for (int i = 4; i < 20; ++i) last = guest.must_open(kRoot, "file");
  EXPECT_EQ(last, 19u);
  EXPECT_EQ(guest.open(kRoot, "file").error, Errno::kMfile);
  EXPECT_EQ(guest.open(kRoot, "new", oflags::kCreate).error, Errno::kMfile);
  EXPECT_FALSE(directory_.exists("new"));
  EXPECT_EQ(guest.call("fd_close", {7}), Errno::kSuccess);
  EXPECT_EQ(guest.must_open(kRoot, "file"), 7u);
}

TEST_F(FdTest, PreopensFitWhateverTheBound) {
  std::vector<Preopen> preopens;
  for (int i = 0; i < 40; ++i) preopens.push_back({std::to_string(i), directory_.path()});
  TestGuest guest(preopens, PathWalk::kAutomatic, 1);
  const uint32_t out = guest.allocate(8);
  EXPECT_EQ(guest.call("fd_prestat_get", {42, out}), Errno::kSuccess);
  EXPECT_EQ(guest.call("fd_prestat_get", {43, out}), Errno::kBadf);
  EXPECT_EQ(guest.open(kRoot, ".").error, Errno::kMfile);
}

TEST_F(FdTest, SyncOfFiles) {
  directory_.write("file", "content");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, kReadWrite);
  for (const char* name : {"fd_sync", "fd_datasync"}) {
    EXPECT_EQ(guest_.call(name, {file}), Errno::kSuccess);
    for (uint32_t fd : {0u, 2u, kRoot, 99u}) EXPECT_EQ(guest_.call(name, {fd}), Errno::kBadf) << fd;
  }
  directory_.make_fifo("fifo");
  const uint32_t fifo = guest_.must_open(kRoot, "fifo");
  EXPECT_EQ(guest_.call("fd_sync", {fifo}), Errno::kInval);
}

TEST_F(FdTest, SyncOfStandardOutputSendsIt) {
  EXPECT_EQ(guest_.call("fd_sync", {1}), Errno::kSuccess);
  EXPECT_EQ(guest_.call("fd_datasync", {1}), Errno::kSuccess);
  EXPECT_EQ(guest_.host.flushes, 2);
  guest_.host.failure = {.stop = Stop::kAborted};
  (void)guest_.call("fd_sync", {1});
  EXPECT_EQ(guest_.context.stop(), Stop::kAborted);
}

TEST_F(FdTest, FdstatOfStreams) {
  for (uint32_t fd = 0; fd < 3; ++fd) {
    const Fdstat stat = fdstat(fd);
    EXPECT_EQ(stat.fs_filetype, FileType::kUnknown);
    EXPECT_EQ(stat.fs_flags, 0);
    EXPECT_EQ(stat.fs_rights_base, fd == 0 ? rights::kFdRead : rights::kFdWrite);
  }
  // A terminal is told by its type and by rights without seeking.
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  guest_.host.descriptors[1] = terminal;
  EXPECT_EQ(fdstat(1).fs_filetype, FileType::kCharacterDevice);
  EXPECT_EQ(filestat(1).filetype, FileType::kCharacterDevice);
  ::close(terminal);
}

TEST_F(FdTest, FdstatOfDirectories) {
  directory_.make_directory("dir");
  const uint32_t dir = guest_.must_open(kRoot, "dir", oflags::kDirectory, 0);
  for (uint32_t fd : {kRoot, dir}) {
    const Fdstat stat = fdstat(fd);
    EXPECT_EQ(stat.fs_filetype, FileType::kDirectory);
    EXPECT_EQ(stat.fs_rights_base & (rights::kFdSeek | rights::kFdWrite), 0u);
    EXPECT_NE(stat.fs_rights_base & rights::kPathOpen, 0u);
    // What libc asks for when it opens something in it.
    EXPECT_EQ(stat.fs_rights_inheriting & kReadWrite, kReadWrite);
  }
}

TEST_F(FdTest, FdstatOfFiles) {
  directory_.write("file", "content");
  const Fdstat reads = fdstat(guest_.must_open(kRoot, "file", 0, rights::kFdRead));
  EXPECT_EQ(reads.fs_filetype, FileType::kRegularFile);
  EXPECT_EQ(reads.fs_rights_base & kReadWrite, rights::kFdRead);
  EXPECT_EQ(reads.fs_flags, 0);
  const Fdstat writes =
      fdstat(guest_.must_open(kRoot, "file", 0, rights::kFdWrite, fdflags::kAppend));
  EXPECT_EQ(writes.fs_rights_base & kReadWrite, rights::kFdWrite);
  EXPECT_EQ(writes.fs_flags, fdflags::kAppend);
  EXPECT_EQ(fdstat(guest_.must_open(kRoot, "file", 0, 0, fdflags::kNonblock)).fs_flags,
            fdflags::kNonblock);
}

TEST_F(FdTest, FdstatErrors) {
  EXPECT_EQ(guest_.call("fd_fdstat_get", {99, 0}), Errno::kBadf);
  EXPECT_EQ(guest_.call("fd_fdstat_get", {1, kBad}), Errno::kFault);
}

TEST_F(FdTest, SetFlagsOfFiles) {
  directory_.write("file", "start");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, kReadWrite);
  EXPECT_EQ(guest_.call("fd_fdstat_set_flags", {file, fdflags::kAppend}), Errno::kSuccess);
  EXPECT_EQ(fdstat(file).fs_flags, fdflags::kAppend);
  EXPECT_EQ(guest_.write(file, "-end"), Errno::kSuccess);
  EXPECT_EQ(directory_.read("file"), "start-end");
  EXPECT_EQ(guest_.call("fd_fdstat_set_flags", {file, fdflags::kNonblock}), Errno::kSuccess);
  EXPECT_EQ(fdstat(file).fs_flags, fdflags::kNonblock);
  const uint32_t position = guest_.allocate(8);
  EXPECT_EQ(guest_.call("fd_seek", {file, 0, 0, position}), Errno::kSuccess);
  EXPECT_EQ(guest_.write(file, "S"), Errno::kSuccess);
  EXPECT_EQ(directory_.read("file"), "Start-end");
}

TEST_F(FdTest, SetFlagsErrors) {
  directory_.write("file", "start");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, kReadWrite);
  for (uint32_t flags : {fdflags::kDsync, fdflags::kRsync, fdflags::kSync, 1u << 5, ~0u}) {
    EXPECT_EQ(guest_.call("fd_fdstat_set_flags", {file, flags}), Errno::kInval) << flags;
  }
  for (uint32_t fd : {0u, 1u, kRoot, 99u}) {
    EXPECT_EQ(guest_.call("fd_fdstat_set_flags", {fd, 0}), Errno::kBadf) << fd;
  }
}

TEST_F(FdTest, SetRightsIsNotSupported) {
  directory_.write("file", "start");
  const uint32_t file = guest_.must_open(kRoot, "file");
  EXPECT_EQ(guest_.call("fd_fdstat_set_rights", {file, 0, 0}), Errno::kNotsup);
  EXPECT_EQ(guest_.call("fd_fdstat_set_rights", {kRoot, 0, 0}), Errno::kNotsup);
  EXPECT_EQ(guest_.call("fd_fdstat_set_rights", {0, 0, 0}), Errno::kBadf);
  EXPECT_EQ(guest_.call("fd_fdstat_set_rights", {99, 0, 0}), Errno::kBadf);
}

TEST_F(FdTest, FilestatOfFilesAndDirectories) {
  directory_.write("file", "content");
  struct stat status;
  ASSERT_EQ(stat(directory_.path("file").c_str(), &status), 0);
  const Filestat file = filestat(guest_.must_open(kRoot, "file"));
  EXPECT_EQ(file.filetype, FileType::kRegularFile);
  EXPECT_EQ(file.size, 7u);
  EXPECT_EQ(file.nlink, 1u);
  EXPECT_EQ(file.ino, status.st_ino);
  EXPECT_EQ(file.dev, status.st_dev);
  EXPECT_EQ(file.mtim, static_cast<uint64_t>(status.st_mtim.tv_sec) * 1'000'000'000 +
                           static_cast<uint64_t>(status.st_mtim.tv_nsec));
  EXPECT_EQ(filestat(kRoot).filetype, FileType::kDirectory);
  EXPECT_EQ(filestat(guest_.must_open(kRoot, ".")).ino, filestat(kRoot).ino);
}

TEST_F(FdTest, FilestatOfStreamsIsEmpty) {
  const Filestat stat = filestat(1);
  EXPECT_EQ(stat.filetype, FileType::kUnknown);
  EXPECT_EQ(stat.ino | stat.size | stat.atim | stat.mtim | stat.ctim, 0u);
}

TEST_F(FdTest, FilestatErrors) {
  EXPECT_EQ(guest_.call("fd_filestat_get", {99, 0}), Errno::kBadf);
  EXPECT_EQ(guest_.call("fd_filestat_get", {kRoot, kBad}), Errno::kFault);
  TestGuest guest({Preopen{"/", directory_.path("none")}});
  EXPECT_EQ(guest.call("fd_filestat_get", {kRoot, 0}), Errno::kNoent);
}

TEST_F(FdTest, StatOfFilesDirectoriesAndStreams) {
  directory_.write("file", "content");
  ASSERT_EQ(chmod(directory_.path("file").c_str(), 04640), 0);
  ASSERT_EQ(chmod(directory_.path().c_str(), 01750), 0);
  const auto status_of = [this](uint32_t fd) {
    const uint32_t out = guest_.allocate(sizeof(Status));
    EXPECT_EQ(guest_.call_own("fd_stat", {fd, out}), Errno::kSuccess) << fd;
    return guest_.load<Status>(out);
  };
  const Status file = status_of(guest_.must_open(kRoot, "file"));
  EXPECT_EQ(file.mode, static_cast<uint32_t>(S_IFREG | 0640));
  EXPECT_EQ(file.size, 7u);
  EXPECT_EQ(status_of(kRoot).mode, static_cast<uint32_t>(S_IFDIR | 0750));
  for (uint32_t stream : {0u, 1u, 2u}) {
    EXPECT_EQ(status_of(stream).mode, 0600u);
    EXPECT_EQ(status_of(stream).ino, 0u);
  }
  EXPECT_EQ(guest_.call_own("fd_stat", {99, 8}), Errno::kBadf);
  EXPECT_EQ(guest_.call_own("fd_stat", {0xFFFFFFFF, 8}), Errno::kBadf);
  for (uint32_t fd : {1u, kRoot}) {
    EXPECT_EQ(guest_.call_own("fd_stat", {fd, kBad}), Errno::kFault);
    EXPECT_EQ(guest_.call_own("fd_stat", {fd, 0xFFFFFFFF}), Errno::kFault);
  }
}

TEST_F(FdTest, Chmod) {
  directory_.write("file", "content");
  directory_.make_directory("sub");
  const auto mode_of = [this](const char* name) {
    struct stat status {};
    EXPECT_EQ(stat(directory_.path(name).c_str(), &status), 0) << name;
    return status.st_mode & 07777;
  };
  const uint32_t file = guest_.must_open(kRoot, "file");
  EXPECT_EQ(guest_.call_own("fd_chmod", {file, 0777}), Errno::kSuccess);
  EXPECT_EQ(mode_of("file"), 0666u);
  ASSERT_EQ(chmod(directory_.path("sub").c_str(), 02700), 0);
  EXPECT_EQ(guest_.call_own("fd_chmod", {guest_.must_open(kRoot, "sub"), 0711}), Errno::kSuccess);
  EXPECT_EQ(mode_of("sub"), 02711u);
  EXPECT_EQ(guest_.call_own("fd_chmod", {kRoot, 0711}), Errno::kSuccess);
  EXPECT_EQ(mode_of(""), 0711u);
  EXPECT_EQ(guest_.call_own("fd_chmod", {file, 07777}), Errno::kSuccess);
  EXPECT_EQ(mode_of("file"), 0666u);
  EXPECT_EQ(guest_.call_own("fd_chmod", {file, 010644}), Errno::kInval);
  EXPECT_EQ(guest_.call_own("fd_chmod", {file, 0xFFFFFFFF}), Errno::kInval);
  EXPECT_EQ(guest_.call_own("fd_chmod", {1, 0644}), Errno::kBadf);
  EXPECT_EQ(guest_.call_own("fd_chmod", {99, 0644}), Errno::kBadf);
  EXPECT_EQ(guest_.call_own("fd_chmod", {kReadOnlyRoot, 0777}), Errno::kPerm);
  const uint32_t read_only = guest_.must_open(kReadOnlyRoot, "file");
  EXPECT_EQ(guest_.call_own("fd_chmod", {read_only, 0}), Errno::kPerm);
  EXPECT_EQ(mode_of("file"), 0666u);
}

TEST_F(FdTest, ExtremeTimesAreClamped) {
  directory_.write("file", "content");
  const timespec times[2] = {{.tv_sec = -1000, .tv_nsec = 5}, {.tv_sec = -1, .tv_nsec = 999}};
  ASSERT_EQ(utimensat(AT_FDCWD, directory_.path("file").c_str(), times, 0), 0);
  const Filestat stat = filestat(guest_.must_open(kRoot, "file"));
  EXPECT_EQ(stat.atim, 0u);
  EXPECT_EQ(stat.mtim, 0u);
}

TEST_F(FdTest, SetSize) {
  directory_.write("file", "content");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, kReadWrite);
  EXPECT_EQ(guest_.call("fd_filestat_set_size", {file, 3}), Errno::kSuccess);
  EXPECT_EQ(directory_.read("file"), "con");
  EXPECT_EQ(guest_.call("fd_filestat_set_size", {file, 5}), Errno::kSuccess);
  EXPECT_EQ(directory_.read("file"), std::string("con\0\0", 5));
}

TEST_F(FdTest, SetSizeErrors) {
  directory_.write("file", "content");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, kReadWrite);
  const uint32_t reads = guest_.must_open(kRoot, "file");
  EXPECT_EQ(guest_.call("fd_filestat_set_size", {file, uint64_t{1} << 63}), Errno::kInval);
  EXPECT_EQ(guest_.call("fd_filestat_set_size", {file, (uint64_t{1} << 63) - 1}), Errno::kFbig);
  EXPECT_EQ(guest_.call("fd_filestat_set_size", {reads, 0}), Errno::kInval);
  for (uint32_t fd : {1u, kRoot, 99u}) {
    EXPECT_EQ(guest_.call("fd_filestat_set_size", {fd, 0}), Errno::kBadf) << fd;
  }
  EXPECT_EQ(directory_.read("file"), "content");
}

TEST_F(FdTest, SetTimes) {
  directory_.write("file", "content");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, kReadWrite);
  using namespace fstflags;
  ASSERT_EQ(
      guest_.call("fd_filestat_set_times", {file, 1'000'000'001, 2'000'000'002, kAtime | kMtime}),
      Errno::kSuccess);
  EXPECT_EQ(filestat(file).atim, 1'000'000'001u);
  EXPECT_EQ(filestat(file).mtim, 2'000'000'002u);
  ASSERT_EQ(guest_.call("fd_filestat_set_times", {file, 5, 5, kMtime}), Errno::kSuccess);
  EXPECT_EQ(filestat(file).atim, 1'000'000'001u);
  EXPECT_EQ(filestat(file).mtim, 5u);
  ASSERT_EQ(guest_.call("fd_filestat_set_times", {file, 5, 5, kAtimeNow}), Errno::kSuccess);
  EXPECT_GT(filestat(file).atim, 1'000'000'001u);
  EXPECT_EQ(filestat(file).mtim, 5u);
  ASSERT_EQ(guest_.call("fd_filestat_set_times", {kRoot, 7'000, 8'000, kAtime | kMtime}),
            Errno::kSuccess);
  EXPECT_EQ(filestat(kRoot).mtim, 8'000u);
  const uint32_t dir = guest_.must_open(kRoot, ".");
  ASSERT_EQ(guest_.call("fd_filestat_set_times", {dir, 7'000, 9'000, kMtime}), Errno::kSuccess);
  EXPECT_EQ(filestat(kRoot).mtim, 9'000u);
}

TEST_F(FdTest, SetTimesErrors) {
  directory_.write("file", "content");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, kReadWrite);
  using namespace fstflags;
  for (uint32_t flags : {kAtime | kAtimeNow, kMtime | kMtimeNow, 1u << 4}) {
    EXPECT_EQ(guest_.call("fd_filestat_set_times", {file, 0, 0, flags}), Errno::kInval) << flags;
  }
  EXPECT_EQ(guest_.call("fd_filestat_set_times", {1, 0, 0, kMtime}), Errno::kBadf);
  EXPECT_EQ(guest_.call("fd_filestat_set_times", {99, 0, 0, kMtime}), Errno::kBadf);
}

TEST_F(FdTest, PrestatTellsTheNamesInOrder) {
  const uint32_t out = guest_.allocate(8);
  ASSERT_EQ(guest_.call("fd_prestat_get", {kReadOnlyRoot, out}), Errno::kSuccess);
  EXPECT_EQ(guest_.load<Prestat>(out).tag, 0u);
  EXPECT_EQ(guest_.load<Prestat>(out).name_len, 2u);
  const uint32_t name = guest_.allocate(8);
  ASSERT_EQ(guest_.call("fd_prestat_dir_name", {kReadOnlyRoot, name, 8}), Errno::kSuccess);
  EXPECT_EQ(guest_.text(name, 3), std::string("ro\0", 3));
  ASSERT_EQ(guest_.call("fd_prestat_dir_name", {kReadOnlyRoot, name, 2}), Errno::kSuccess);
}

TEST_F(FdTest, PrestatErrors) {
  const uint32_t dir = guest_.must_open(kRoot, ".");
  for (uint32_t fd : {0u, 1u, dir, 99u}) {
    EXPECT_EQ(guest_.call("fd_prestat_get", {fd, 0}), Errno::kBadf) << fd;
  }
  EXPECT_EQ(guest_.call("fd_prestat_get", {kRoot, kBad}), Errno::kFault);
  EXPECT_EQ(guest_.call("fd_prestat_dir_name", {kReadOnlyRoot, 0, 1}), Errno::kNametoolong);
  EXPECT_EQ(guest_.call("fd_prestat_dir_name", {kReadOnlyRoot, kBad, 2}), Errno::kFault);
  EXPECT_EQ(guest_.call("fd_prestat_dir_name", {0, 0, 8}), Errno::kNotdir);
  EXPECT_EQ(guest_.call("fd_prestat_dir_name", {99, 0, 8}), Errno::kBadf);
}

TEST_F(FdTest, PreopensAreOpenedByTheFirstUse) {
  TestGuest guest({Preopen{"/", directory_.path("later")}});
  const uint32_t out = guest.allocate(64);
  EXPECT_EQ(guest.call("fd_prestat_get", {kRoot, out}), Errno::kSuccess);
  EXPECT_EQ(guest.call("fd_fdstat_get", {kRoot, out}), Errno::kSuccess);
  EXPECT_EQ(guest.open(kRoot, ".").error, Errno::kNoent);
  directory_.make_directory("later");
  EXPECT_EQ(guest.open(kRoot, ".").error, Errno::kSuccess);
}

TEST_F(FdTest, RenumberMoves) {
  directory_.write("a", "from a");
  directory_.write("b", "from b");
  const uint32_t a = guest_.must_open(kRoot, "a");
  const uint32_t b = guest_.must_open(kRoot, "b");
  ASSERT_EQ(guest_.call("fd_renumber", {a, b}), Errno::kSuccess);
  std::string bytes;
  EXPECT_EQ(guest_.read(b, 10, bytes), Errno::kSuccess);
  EXPECT_EQ(bytes, "from a");
  EXPECT_EQ(guest_.read(a, 10, bytes), Errno::kBadf);
  EXPECT_EQ(guest_.must_open(kRoot, "b"), a);
  EXPECT_EQ(guest_.call("fd_renumber", {a, a}), Errno::kSuccess);
  // Streams and preopens like all others.
  ASSERT_EQ(guest_.call("fd_renumber", {1, b}), Errno::kSuccess);
  EXPECT_EQ(guest_.write(b, "out"), Errno::kSuccess);
  EXPECT_EQ(guest_.host.output, "out");
  ASSERT_EQ(guest_.call("fd_renumber", {kReadOnlyRoot, kRoot}), Errno::kSuccess);
  EXPECT_EQ(guest_.open(kRoot, "a", 0, rights::kFdWrite).error, Errno::kPerm);
}

TEST_F(FdTest, RenumberErrors) {
  EXPECT_EQ(guest_.call("fd_renumber", {1, 99}), Errno::kBadf);
  EXPECT_EQ(guest_.call("fd_renumber", {99, 1}), Errno::kBadf);
  EXPECT_EQ(guest_.call("fd_renumber", {99, 99}), Errno::kBadf);
  EXPECT_EQ(guest_.write(1, "still"), Errno::kSuccess);
}

TEST_F(FdTest, SeekAndTell) {
  directory_.write("file", "0123456789");
  const uint32_t file = guest_.must_open(kRoot, "file");
  const uint32_t out = guest_.allocate(8);
  const auto seek = [&](int64_t offset, uint32_t whence) {
    EXPECT_EQ(guest_.call("fd_seek", {file, static_cast<uint64_t>(offset), whence, out}),
              Errno::kSuccess);
    const auto sought = guest_.load<uint64_t>(out);
    EXPECT_EQ(guest_.call("fd_tell", {file, out}), Errno::kSuccess);
    EXPECT_EQ(guest_.load<uint64_t>(out), sought);
    return sought;
  };
  EXPECT_EQ(seek(4, 0), 4u);
  EXPECT_EQ(seek(-1, 1), 3u);
  EXPECT_EQ(seek(-2, 2), 8u);
  EXPECT_EQ(seek(100, 2), 110u);
  EXPECT_EQ(seek(0, 0), 0u);
}

TEST_F(FdTest, SeekAndTellErrors) {
  directory_.write("file", "0123456789");
  const uint32_t file = guest_.must_open(kRoot, "file");
  const uint32_t out = guest_.allocate(8);
  EXPECT_EQ(guest_.call("fd_seek", {file, static_cast<uint64_t>(-1), 0, out}), Errno::kInval);
  EXPECT_EQ(guest_.call("fd_seek", {file, static_cast<uint64_t>(-1), 1, out}), Errno::kInval);
  EXPECT_EQ(guest_.call("fd_seek", {file, static_cast<uint64_t>(-11), 2, out}), Errno::kInval);
  EXPECT_EQ(guest_.call("fd_seek", {file, 0, 3, out}), Errno::kInval);
  EXPECT_EQ(guest_.call("fd_seek", {file, 0, 0, kBad}), Errno::kFault);
  EXPECT_EQ(guest_.call("fd_tell", {file, kBad}), Errno::kFault);
  for (uint32_t fd : {0u, 1u, 2u}) {
    EXPECT_EQ(guest_.call("fd_seek", {fd, 0, 0, out}), Errno::kSpipe) << fd;
    EXPECT_EQ(guest_.call("fd_tell", {fd, out}), Errno::kSpipe) << fd;
  }
  for (uint32_t fd : {kRoot, 99u}) {
    EXPECT_EQ(guest_.call("fd_seek", {fd, 0, 0, out}), Errno::kBadf) << fd;
    EXPECT_EQ(guest_.call("fd_tell", {fd, out}), Errno::kBadf) << fd;
  }
}

class ReaddirTest : public FdTest {
 protected:
  struct Entry {
    Dirent dirent;
    std::string name;
  };

  /// One call; entries that are whole.
  std::vector<Entry> call(uint32_t fd, uint32_t size, uint64_t cookie, uint32_t& used) {
    guest_.reset_memory();
    const uint32_t buffer = guest_.allocate(size);
    const uint32_t out = guest_.allocate(4);
    EXPECT_EQ(guest_.call("fd_readdir", {fd, buffer, size, cookie, out}), Errno::kSuccess);
    used = guest_.load<uint32_t>(out);
    EXPECT_LE(used, size);
    std::vector<Entry> entries;
    uint32_t at = 0;
    while (used - at >= sizeof(Dirent)) {
      const auto dirent = guest_.load<Dirent>(buffer + at);
      if (used - at - sizeof(Dirent) < dirent.d_namlen) break;
      entries.push_back({dirent, guest_.text(buffer + at + static_cast<uint32_t>(sizeof(Dirent)),
                                             dirent.d_namlen)});
      at += static_cast<uint32_t>(sizeof(Dirent)) + dirent.d_namlen;
    }
    return entries;
  }

  /// Reads on from `cookie` to the end, as libc does.
  std::vector<Entry> read_all(uint32_t fd, uint32_t size, uint64_t cookie = 0) {
    std::vector<Entry> all;
    while (true) {
      uint32_t used;
      const auto entries = call(fd, size, cookie, used);
      all.insert(all.end(), entries.begin(), entries.end());
      if (used < size) return all;
      if (entries.empty()) {
        size *= 2;
      } else {
        cookie = entries.back().dirent.d_next;
      }
    }
  }

  static std::multiset<std::string> names(const std::vector<Entry>& entries) {
    std::multiset<std::string> names;
    for (const Entry& entry : entries) names.insert(entry.name);
    return names;
  }
};

TEST_F(ReaddirTest, GivesTheDirectoryItselfFirst) {
  directory_.make_directory("dir/sub");
  directory_.write("dir/file", "");
  directory_.make_link("file", "dir/link");
  directory_.make_fifo("dir/fifo");
  const uint32_t dir = guest_.must_open(kRoot, "dir");
  const auto entries = read_all(dir, 1000);
  ASSERT_EQ(entries.size(), 6u);
  EXPECT_EQ(entries[0].name, ".");
  EXPECT_EQ(entries[1].name, "..");
  const uint64_t own = filestat(dir).ino;
  EXPECT_EQ(entries[0].dirent.d_ino, own);
  EXPECT_EQ(entries[1].dirent.d_ino, own);  // the parent is not told
  for (const Entry& entry : entries) {
    const std::string& name = entry.name;
    EXPECT_EQ(entry.dirent.d_type, name == "file"   ? FileType::kRegularFile
                                   : name == "link" ? FileType::kSymbolicLink
                                   : name == "fifo" ? FileType::kUnknown
                                                    : FileType::kDirectory)
        << name;
    if (name == "file") {
      Filestat stat;
      ASSERT_EQ(guest_.stat(dir, "file", stat), Errno::kSuccess);
      EXPECT_EQ(entry.dirent.d_ino, stat.ino);
    }
  }
}

TEST_F(ReaddirTest, EveryBufferSizeGivesAllEntriesOnce) {
  std::multiset<std::string> expected = {".", ".."};
  for (int i = 0; i < 300; ++i) {
    const std::string name = std::string(static_cast<size_t>(i % 40), 'n') + std::to_string(i);
    directory_.write(name, "");
    expected.insert(name);
  }
  for (uint32_t size : {1u, 24u, 25u, 26u, 30u, 64u, 100u, 256u, 4096u, 100'000u}) {
    EXPECT_EQ(names(read_all(kRoot, size)), expected) << size;
  }
}

TEST_F(ReaddirTest, PreopensCanBeRead) {
  directory_.write("file", "");
  EXPECT_EQ(names(read_all(kReadOnlyRoot, 1000)), (std::multiset<std::string>{".", "..", "file"}));
}

TEST_F(ReaddirTest, StartingAnewSeesWhatIsNew) {
  EXPECT_EQ(read_all(kRoot, 1000).size(), 2u);
  directory_.write("file", "");
  EXPECT_EQ(read_all(kRoot, 1000).size(), 3u);
  ::unlink(directory_.path("file").c_str());
  EXPECT_EQ(read_all(kRoot, 1000).size(), 2u);
}

TEST_F(ReaddirTest, CookiesStayValidWhileEntriesComeAndGo) {
  constexpr int kFiles = 2000;
  std::multiset<std::string> lasting;
  for (int i = 0; i < kFiles; ++i) {
    const std::string name = "file" + std::to_string(i);
    directory_.write(name, "");
    if (i % 2 == 0) lasting.insert(name);
  }
  // Odd files are removed and others made while the directory is read.
  std::vector<Entry> seen;
  uint64_t cookie = 0;
  uint32_t used;
  int round = 0;
  std::vector<uint64_t> cookies;
  while (true) {
    const auto entries = call(kRoot, 300, cookie, used);
    seen.insert(seen.end(), entries.begin(), entries.end());
    for (const Entry& entry : entries) cookies.push_back(entry.dirent.d_next);
    if (used < 300) break;
    ASSERT_FALSE(entries.empty());
    cookie = entries.back().dirent.d_next;
    ::unlink(directory_.path("file" + std::to_string(2 * round + 1)).c_str());
    ::unlink(directory_.path("file" + std::to_string(kFiles - 2 * round - 1)).c_str());
    directory_.write("new" + std::to_string(round), "");
    ++round;
  }
  std::multiset<std::string> of_lasting;
  for (const Entry& entry : seen) {
    if (lasting.contains(entry.name)) of_lasting.insert(entry.name);
  }
  EXPECT_EQ(of_lasting, lasting);
  // Any earlier cookie still leads to the lasting entries that followed it.
  for (const size_t at : {size_t{3}, cookies.size() / 3, cookies.size() / 2}) {
    std::set<std::string> behind;
    for (size_t i = at + 1; i < seen.size(); ++i) {
      if (lasting.contains(seen[i].name)) behind.insert(seen[i].name);
    }
    const auto again = names(read_all(kRoot, 1000, cookies[at]));
    for (const std::string& name : behind) EXPECT_EQ(again.count(name), 1u) << name;
  }
}

TEST_F(ReaddirTest, PastTheEndIsNothing) {
  directory_.write("file", "");
  const auto all = read_all(kRoot, 1000);
  uint32_t used;
  EXPECT_EQ(call(kRoot, 100, all.back().dirent.d_next, used).size(), 0u);
  EXPECT_EQ(used, 0u);
  for (uint64_t cookie : {all.back().dirent.d_next + 1, ~uint64_t{0}, uint64_t{1} << 63}) {
    EXPECT_EQ(call(kRoot, 100, cookie, used).size(), 0u) << cookie;
    EXPECT_EQ(used, 0u) << cookie;
  }
  EXPECT_EQ(read_all(kRoot, 1000).size(), 3u);
}

TEST_F(ReaddirTest, TwoDescriptorsHaveTwoPositions) {
  for (int i = 0; i < 20; ++i) directory_.write(std::to_string(i), "");
  const uint32_t a = guest_.must_open(kRoot, ".");
  const uint32_t b = guest_.must_open(kRoot, ".");
  uint32_t used;
  const auto first = call(a, 200, 0, used);
  EXPECT_EQ(read_all(b, 100).size(), 22u);
  const auto rest = read_all(a, 200, first.back().dirent.d_next);
  EXPECT_EQ(first.size() + rest.size(), 22u);
}

TEST_F(ReaddirTest, NamesAreBytes) {
  directory_.write("\xFF\xFE", "");
  EXPECT_EQ(names(read_all(kRoot, 1000)).count("\xFF\xFE"), 1u);
}

TEST_F(ReaddirTest, ARemovedDirectoryIsEmpty) {
  directory_.make_directory("dir");
  const uint32_t dir = guest_.must_open(kRoot, "dir");
  ::rmdir(directory_.path("dir").c_str());
  const uint32_t buffer = guest_.allocate(100);
  // Depending on when it was opened for reading: no entries, or no directory.
  const Errno error = guest_.call("fd_readdir", {dir, buffer, 100, 2, guest_.allocate(4)});
  EXPECT_TRUE(error == Errno::kSuccess || error == Errno::kNoent);
}

TEST_F(ReaddirTest, Errors) {
  directory_.write("file", "");
  const uint32_t file = guest_.must_open(kRoot, "file");
  const uint32_t good = guest_.allocate(100);
  for (uint32_t fd : {0u, 1u, file, 99u}) {
    EXPECT_EQ(guest_.call("fd_readdir", {fd, good, 100, 0, good}), Errno::kBadf) << fd;
  }
  EXPECT_EQ(guest_.call("fd_readdir", {kRoot, kBad, 100, 0, good}), Errno::kFault);
  EXPECT_EQ(guest_.call("fd_readdir", {kRoot, 0, 0xFFFFFFFF, 0, good}), Errno::kFault);
  EXPECT_EQ(guest_.call("fd_readdir", {kRoot, good, 100, 0, kBad}), Errno::kFault);
}

TEST_F(ReaddirTest, LongReadsCanBeStopped) {
  for (int i = 0; i < 5000; ++i) directory_.write(std::to_string(i), "");
  guest_.host.stop_at_check = 1;
  const uint32_t size = 500'000;
  const uint32_t buffer = guest_.allocate(size);
  (void)guest_.call("fd_readdir", {kRoot, buffer, size, 0, guest_.allocate(4)});
  EXPECT_EQ(guest_.context.stop(), Stop::kTimedOut);
}

}  // namespace
}  // namespace wasmrt::wasi
