// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "support/unique_fd.h"
#include "wasi/test_support.h"

namespace wasmrt::wasi {
namespace {

constexpr uint32_t kRoot = TestGuest::kRoot;
constexpr uint32_t kBad = TestGuest::kBadPointer;
constexpr uint64_t kReadWrite = rights::kFdRead | rights::kFdWrite;

class IoTest : public testing::Test {
 protected:
  IoTest() : guest_({{"/", directory_.path()}}) {}

  uint32_t moved(uint32_t ptr) { return guest_.load<uint32_t>(ptr); }

  TemporaryDirectory directory_;
  TestGuest guest_;
};

TEST_F(IoTest, StandardStreams) {
  guest_.host.input = "some input";
  std::string bytes;
  EXPECT_EQ(guest_.read(0, 4, bytes), Errno::kSuccess);
  EXPECT_EQ(bytes, "some");
  EXPECT_EQ(guest_.read(0, 100, bytes), Errno::kSuccess);
  EXPECT_EQ(bytes, " input");
  EXPECT_EQ(guest_.read(0, 100, bytes), Errno::kSuccess);
  EXPECT_EQ(bytes, "");
  EXPECT_EQ(guest_.write(1, "out"), Errno::kSuccess);
  EXPECT_EQ(guest_.write(2, "err"), Errno::kSuccess);
  EXPECT_EQ(guest_.host.output, "out");
  EXPECT_EQ(guest_.host.errors, "err");
}

TEST_F(IoTest, StreamsHaveOneDirection) {
  std::string bytes;
  EXPECT_EQ(guest_.read(1, 4, bytes), Errno::kBadf);
  EXPECT_EQ(guest_.read(2, 4, bytes), Errno::kBadf);
  EXPECT_EQ(guest_.write(0, "x"), Errno::kBadf);
}

TEST_F(IoTest, WritesAllVectorsInOrder) {
  const uint32_t text = guest_.store("abcdef");
  const uint32_t count = guest_.allocate(4);
  // Overlapping, empty, of length 0 at the very end of memory.
  const uint32_t vectors = guest_.store_vectors(
      {{text, 3}, {text + 1, 0}, {text, 6}, {TestGuest::kMemorySize, 0}, {text + 5, 1}});
  ASSERT_EQ(guest_.call("fd_write", {1, vectors, 5, count}), Errno::kSuccess);
  EXPECT_EQ(guest_.host.output, "abcabcdeff");
  EXPECT_EQ(moved(count), 10u);
  const uint32_t file = guest_.must_open(kRoot, "file", oflags::kCreate, kReadWrite);
  ASSERT_EQ(guest_.call("fd_write", {file, vectors, 5, count}), Errno::kSuccess);
  EXPECT_EQ(directory_.read("file"), "abcabcdeff");
}

TEST_F(IoTest, ReadsIntoAllVectors) {
  directory_.write("file", "abcdefghij");
  const uint32_t file = guest_.must_open(kRoot, "file");
  const uint32_t buffer = guest_.allocate(16);
  const uint32_t count = guest_.allocate(4);
  const uint32_t vectors =
      guest_.store_vectors({{buffer + 8, 3}, {0, 0}, {buffer, 4}, {buffer, 2}});
  ASSERT_EQ(guest_.call("fd_read", {file, vectors, 4, count}), Errno::kSuccess);
  EXPECT_EQ(moved(count), 9u);
  EXPECT_EQ(guest_.text(buffer + 8, 3), "abc");
  EXPECT_EQ(guest_.text(buffer, 4), "hifg");  // the last one overlaps
}

TEST_F(IoTest, StdinFillsTheFirstVectorThatHoldsAnything) {
  guest_.host.input = "abc";
  const uint32_t buffer = guest_.allocate(16);
  const uint32_t count = guest_.allocate(4);
  const uint32_t vectors = guest_.store_vectors({{0, 0}, {buffer, 2}, {buffer + 8, 2}});
  ASSERT_EQ(guest_.call("fd_read", {0, vectors, 3, count}), Errno::kSuccess);
  EXPECT_EQ(moved(count), 2u);
  EXPECT_EQ(guest_.text(buffer, 2), "ab");
}

TEST_F(IoTest, NoVectorsMoveNothing) {
  const uint32_t count = guest_.store("xxxx");
  EXPECT_EQ(guest_.call("fd_write", {1, 0, 0, count}), Errno::kSuccess);
  EXPECT_EQ(moved(count), 0u);
  EXPECT_EQ(guest_.call("fd_read", {0, 0, 0, count}), Errno::kSuccess);
  const uint32_t file = guest_.must_open(kRoot, "file", oflags::kCreate, kReadWrite);
  EXPECT_EQ(guest_.call("fd_write", {file, 0, 0, count}), Errno::kSuccess);
  EXPECT_EQ(guest_.call("fd_read", {file, 0, 0, count}), Errno::kSuccess);
}

TEST_F(IoTest, HugeCountsAreFaultsOrMovedInPart) {
  const uint32_t count = guest_.allocate(4);
  const uint32_t one = guest_.store("x");
  EXPECT_EQ(guest_.call("fd_write", {1, 0, 0xFFFFFFFF, count}), Errno::kFault);
  EXPECT_EQ(guest_.call("fd_write", {1, 0, 0x20000000, count}), Errno::kFault);
  const std::vector<Iovec> many(5000, {one, 1});
  const uint32_t vectors = guest_.store_vectors(many);
  ASSERT_EQ(guest_.call("fd_write", {1, vectors, 5000, count}), Errno::kSuccess);
  EXPECT_EQ(moved(count), 1024u);
  EXPECT_EQ(guest_.host.output.size(), 1024u);
}

TEST_F(IoTest, OverlappingVectorsOfMoreThanMemoryAreCut) {
  const uint32_t count = guest_.allocate(4);
  const std::vector<Iovec> many(1024, {0, TestGuest::kMemorySize});
  const uint32_t vectors = guest_.store_vectors(many);
  const uint32_t file = guest_.must_open(kRoot, "file", oflags::kCreate, kReadWrite);
  ASSERT_EQ(guest_.call("fd_pwrite", {file, vectors, 1024, 0, count}), Errno::kSuccess);
  EXPECT_EQ(moved(count), uint32_t{64} << 20);
}

TEST_F(IoTest, BadPointersAreFaultsBeforeAnythingMoves) {
  directory_.write("file", "content");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, kReadWrite);
  const uint32_t count = guest_.allocate(4);
  const uint32_t text = guest_.store("text");
  const uint32_t good = guest_.store_vectors({{text, 4}});
  const uint32_t bad = guest_.store_vectors({{text, 4}, {kBad, 2}});
  const uint32_t wraps = guest_.store_vectors({{text, 4}, {0xFFFFFFFF, 0xFFFFFFFF}});
  for (const char* name : {"fd_read", "fd_write"}) {
    for (uint32_t fd : {file, name == std::string_view("fd_read") ? 0u : 1u}) {
      EXPECT_EQ(guest_.call(name, {fd, bad, 2, count}), Errno::kFault) << name;
      EXPECT_EQ(guest_.call(name, {fd, wraps, 2, count}), Errno::kFault) << name;
      EXPECT_EQ(guest_.call(name, {fd, kBad, 1, count}), Errno::kFault) << name;
      EXPECT_EQ(guest_.call(name, {fd, good, 1, kBad}), Errno::kFault) << name;
    }
  }
  for (const char* name : {"fd_pread", "fd_pwrite"}) {
    EXPECT_EQ(guest_.call(name, {file, bad, 2, 0, count}), Errno::kFault) << name;
    EXPECT_EQ(guest_.call(name, {file, kBad, 1, 0, count}), Errno::kFault) << name;
    EXPECT_EQ(guest_.call(name, {file, good, 1, 0, kBad}), Errno::kFault) << name;
  }
  EXPECT_EQ(guest_.host.output, "");
  EXPECT_EQ(directory_.read("file"), "content");
}

TEST_F(IoTest, BadDescriptors) {
  const uint32_t count = guest_.allocate(4);
  for (uint32_t fd : {kRoot, 4u, 0xFFFFFFFFu}) {
    EXPECT_EQ(guest_.call("fd_read", {fd, 0, 0, count}), Errno::kBadf);
    EXPECT_EQ(guest_.call("fd_write", {fd, 0, 0, count}), Errno::kBadf);
    EXPECT_EQ(guest_.call("fd_pread", {fd, 0, 0, 0, count}), Errno::kBadf);
    EXPECT_EQ(guest_.call("fd_pwrite", {fd, 0, 0, 0, count}), Errno::kBadf);
  }
}

TEST_F(IoTest, DirectionOfFiles) {
  directory_.write("file", "content");
  const uint32_t reads = guest_.must_open(kRoot, "file", 0, rights::kFdRead);
  const uint32_t writes = guest_.must_open(kRoot, "file", 0, rights::kFdWrite);
  std::string bytes;
  EXPECT_EQ(guest_.write(reads, "x"), Errno::kBadf);
  EXPECT_EQ(guest_.read(writes, 1, bytes), Errno::kBadf);
  EXPECT_EQ(guest_.write(writes, "x"), Errno::kSuccess);
  EXPECT_EQ(guest_.read(reads, 100, bytes), Errno::kSuccess);
  EXPECT_EQ(bytes, "xontent");
}

TEST_F(IoTest, PositionedCallsKeepThePosition) {
  directory_.write("file", "0123456789");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, kReadWrite);
  const uint32_t buffer = guest_.allocate(8);
  const uint32_t vectors = guest_.store_vectors({{buffer, 3}});
  const uint32_t count = guest_.allocate(4);
  ASSERT_EQ(guest_.call("fd_pread", {file, vectors, 1, 5, count}), Errno::kSuccess);
  EXPECT_EQ(guest_.text(buffer, 3), "567");
  ASSERT_EQ(guest_.call("fd_pwrite", {file, vectors, 1, 1, count}), Errno::kSuccess);
  EXPECT_EQ(directory_.read("file"), "0567456789");
  ASSERT_EQ(guest_.call("fd_pread", {file, vectors, 1, 100, count}), Errno::kSuccess);
  EXPECT_EQ(moved(count), 0u);
  std::string bytes;
  ASSERT_EQ(guest_.read(file, 2, bytes), Errno::kSuccess);
  EXPECT_EQ(bytes, "05");
}

TEST_F(IoTest, PositionedCallsCheckTheOffset) {
  const uint32_t file = guest_.must_open(kRoot, "file", oflags::kCreate, kReadWrite);
  const uint32_t vectors = guest_.store_vectors({{guest_.store("x"), 1}});
  const uint32_t count = guest_.allocate(4);
  for (const char* name : {"fd_pread", "fd_pwrite"}) {
    EXPECT_EQ(guest_.call(name, {file, vectors, 1, uint64_t{1} << 63, count}), Errno::kInval);
    EXPECT_EQ(guest_.call(name, {file, vectors, 1, ~uint64_t{0}, count}), Errno::kInval);
    for (uint32_t stream = 0; stream < 3; ++stream) {
      EXPECT_EQ(guest_.call(name, {stream, vectors, 1, 0, count}), Errno::kSpipe);
    }
  }
  EXPECT_NE(guest_.call("fd_pwrite", {file, vectors, 1, (uint64_t{1} << 63) - 1, count}),
            Errno::kSuccess);  // past the largest file
}

TEST_F(IoTest, AppendsWhereverThePositionIs) {
  directory_.write("file", "start");
  const uint32_t file = guest_.must_open(kRoot, "file", 0, kReadWrite, fdflags::kAppend);
  EXPECT_EQ(guest_.write(file, "-one"), Errno::kSuccess);
  const uint32_t position = guest_.allocate(8);
  ASSERT_EQ(guest_.call("fd_seek", {file, 0, 0, position}), Errno::kSuccess);
  EXPECT_EQ(guest_.write(file, "-two"), Errno::kSuccess);
  EXPECT_EQ(directory_.read("file"), "start-one-two");
}

TEST_F(IoTest, ErrorsAndStopsOfStreams) {
  guest_.host.failure = {.error = EIO};
  std::string bytes;
  EXPECT_EQ(guest_.write(1, "x"), Errno::kIo);
  EXPECT_EQ(guest_.write(2, "x"), Errno::kIo);
  EXPECT_EQ(guest_.read(0, 1, bytes), Errno::kIo);
  EXPECT_EQ(guest_.context.stop(), Stop::kNone);
  guest_.host.failure = {.stop = Stop::kOutputLimit};
  EXPECT_NE(guest_.write(1, "x"), Errno::kSuccess);
  EXPECT_EQ(guest_.context.stop(), Stop::kOutputLimit);
}

TEST_F(IoTest, AFullDiskIsAnErrno) {
  // /dev/full stands for it.
  TestGuest guest({Preopen{"/", "/dev"}});
  const auto opened = guest.open(kRoot, "full", 0, rights::kFdWrite);
  ASSERT_EQ(opened.error, Errno::kSuccess);
  EXPECT_EQ(guest.write(opened.fd, "x"), Errno::kNospc);
}

TEST_F(IoTest, DevicesMoveBoundedAmounts) {
  TestGuest guest({Preopen{"/", "/dev", true}});
  const uint32_t zero = guest.must_open(kRoot, "zero");
  const std::vector<Iovec> many(16, {0, TestGuest::kMemorySize / 2});
  const uint32_t vectors = guest.store_vectors(many);
  // Reading over its own vectors must not matter: they were read before.
  ASSERT_EQ(guest.call("fd_read", {zero, vectors, 16, TestGuest::kMemorySize - 4}),
            Errno::kSuccess);
  EXPECT_EQ(guest.load<uint32_t>(TestGuest::kMemorySize - 4), uint32_t{1} << 20);
}

class FifoTest : public IoTest {
 protected:
  FifoTest() { directory_.make_fifo("fifo"); }
  /// Both ends, so that neither end sees the other missing.
  UniqueFd host_end() {
    return UniqueFd(::open(directory_.path("fifo").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  }
};

TEST_F(FifoTest, WithoutAWriterItIsAtItsEnd) {
  const uint32_t fifo = guest_.must_open(kRoot, "fifo");
  std::string bytes;
  EXPECT_EQ(guest_.read(fifo, 10, bytes), Errno::kSuccess);
  EXPECT_EQ(bytes, "");
}

TEST_F(FifoTest, WithoutAReaderItCannotBeOpenedForWriting) {
  EXPECT_EQ(guest_.open(kRoot, "fifo", 0, rights::kFdWrite).error, Errno::kNxio);
}

TEST_F(FifoTest, AReaderWaitsAndCanBeStopped) {
  const UniqueFd host = host_end();
  const uint32_t fifo = guest_.must_open(kRoot, "fifo");
  guest_.host.stop_at_check = 2;
  std::string bytes;
  EXPECT_NE(guest_.read(fifo, 10, bytes), Errno::kSuccess);
  EXPECT_EQ(guest_.context.stop(), Stop::kTimedOut);
  EXPECT_EQ(guest_.host.checks, 2);
  EXPECT_GT(guest_.host.flushes, 0);  // what was written is sent before waiting
}

TEST_F(FifoTest, AReaderGetsWhatComesLater) {
  const UniqueFd host = host_end();
  const uint32_t fifo = guest_.must_open(kRoot, "fifo");
  guest_.host.on_check = [&] {
    if (guest_.host.checks > 1) return;
    EXPECT_EQ(::write(host.get(), "late", 4), 4);
  };
  std::string bytes;
  EXPECT_EQ(guest_.read(fifo, 10, bytes), Errno::kSuccess);
  EXPECT_EQ(bytes, "late");
}

TEST_F(FifoTest, ANonblockingReaderIsToldToComeAgain) {
  const UniqueFd host = host_end();
  const uint32_t fifo = guest_.must_open(kRoot, "fifo", 0, rights::kFdRead, fdflags::kNonblock);
  std::string bytes;
  EXPECT_EQ(guest_.read(fifo, 10, bytes), Errno::kAgain);
  ASSERT_EQ(guest_.call("fd_fdstat_set_flags", {fifo, 0}), Errno::kSuccess);
  guest_.host.stop_at_check = 1;
  EXPECT_NE(guest_.read(fifo, 10, bytes), Errno::kAgain);
  EXPECT_EQ(guest_.context.stop(), Stop::kTimedOut);
}

TEST_F(FifoTest, AWriterWaitsForRoomAndCanBeStopped) {
  const UniqueFd host = host_end();
  const uint32_t fifo = guest_.must_open(kRoot, "fifo", 0, rights::kFdWrite);
  const std::string block(60'000, 'x');
  guest_.host.stop_at_check = 1;
  for (int i = 0; i < 100 && guest_.context.stop() == Stop::kNone; ++i) {
    guest_.reset_memory();
    (void)guest_.write(fifo, block);
  }
  EXPECT_EQ(guest_.context.stop(), Stop::kTimedOut);
}

TEST_F(FifoTest, AWriterWithoutReadersGetsAnErrnoAndNoSignal) {
  signal(SIGPIPE, SIG_DFL);
  UniqueFd host = host_end();
  const uint32_t fifo = guest_.must_open(kRoot, "fifo", 0, rights::kFdWrite);
  host.reset();
  EXPECT_EQ(guest_.write(fifo, "x"), Errno::kPipe);
  EXPECT_EQ(guest_.write(fifo, "x"), Errno::kPipe);
}

TEST_F(FifoTest, IsNotSeekable) {
  const UniqueFd host = host_end();
  const uint32_t fifo = guest_.must_open(kRoot, "fifo");
  const uint32_t out = guest_.allocate(8);
  EXPECT_EQ(guest_.call("fd_seek", {fifo, 0, 0, out}), Errno::kSpipe);
  EXPECT_EQ(guest_.call("fd_tell", {fifo, out}), Errno::kSpipe);
  EXPECT_EQ(guest_.call("fd_pread", {fifo, 0, 0, 0, out}), Errno::kSpipe);
}

}  // namespace
}  // namespace wasmrt::wasi
