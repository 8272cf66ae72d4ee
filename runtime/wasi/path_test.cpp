// SPDX-License-Identifier: Apache-2.0
//
// Confinement: the same for the kernel's walk and for our own.
#include "wasi/path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "wasi/test_support.h"

namespace wasmrt::wasi {
namespace {

TEST(Utf8Test, TellsWellFormedFromIllFormed) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("plain"));
  EXPECT_TRUE(is_utf8("\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"));
  EXPECT_TRUE(is_utf8("\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF"));
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
                          "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF",
                          "\xC3", "\xE2\x82", "\xF0\x9F\x98", "a\xE2\x28\xA1"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

TEST(GuestPathTest, ChecksWhatTheGuestGives) {
  GuestPath path;
  EXPECT_EQ(path.assign("a/b"), Errno::kSuccess);
  EXPECT_STREQ(path.c_str(), "a/b");
  EXPECT_EQ(path.assign(""), Errno::kNoent);
  EXPECT_EQ(path.assign("/a"), Errno::kPerm);
  EXPECT_EQ(path.assign(std::string_view("a\0b", 3)), Errno::kInval);
  EXPECT_EQ(path.assign("a\xFF"), Errno::kIlseq);
  EXPECT_EQ(path.assign(std::string(PATH_MAX, 'a')), Errno::kNametoolong);
  EXPECT_EQ(path.assign(std::string(PATH_MAX - 1, 'a')), Errno::kSuccess);
}

/// A preopen "root" with a secret beside it.
class WalkTest : public testing::TestWithParam<PathWalk> {
 protected:
  WalkTest() {
    outside_.make_directory("root/dir/sub");
    outside_.write("secret", "secret");
    outside_.write("root/file", "file");
    outside_.write("root/dir/inner", "inner");
    root_.reset(::open(outside_.path("root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }

  Errno open(std::string_view path, int flags = O_RDONLY | O_NONBLOCK) {
    opened_.reset();
    return open_beneath(GetParam(), root_.get(), path, flags, 0666, opened_);
  }
  /// What the descriptor that was opened last reads.
  std::string content() {
    char buffer[64];
    const ssize_t count = ::read(opened_.get(), buffer, sizeof(buffer));
    return count < 0 ? "unreadable" : std::string(buffer, static_cast<size_t>(count));
  }
  /// Whether the descriptor that was opened last is this one below the root.
  bool is(std::string_view name) {
    struct stat a;
    struct stat b;
    return fstat(opened_.get(), &a) == 0 &&
           lstat(outside_.path("root/" + std::string(name)).c_str(), &b) == 0 &&
           a.st_ino == b.st_ino && a.st_dev == b.st_dev;
  }

  TemporaryDirectory outside_;
  UniqueFd root_;
  UniqueFd opened_;
};

INSTANTIATE_TEST_SUITE_P(Walks, WalkTest, testing::Values(PathWalk::kKernel, PathWalk::kOwn),
                         [](const auto& info) {
                           return info.param == PathWalk::kKernel ? "Kernel" : "Own";
                         });

TEST_P(WalkTest, OpensWhatIsBeneath) {
  EXPECT_EQ(open("file"), Errno::kSuccess);
  EXPECT_EQ(content(), "file");
  EXPECT_EQ(open("dir/inner"), Errno::kSuccess);
  EXPECT_EQ(content(), "inner");
  EXPECT_EQ(open("./dir//sub/.././inner"), Errno::kSuccess);
  EXPECT_EQ(content(), "inner");
  EXPECT_EQ(open("."), Errno::kSuccess);
  EXPECT_TRUE(is(""));
  EXPECT_EQ(open("dir/.."), Errno::kSuccess);
  EXPECT_TRUE(is(""));
  EXPECT_EQ(open("dir/sub/../../dir/sub/"), Errno::kSuccess);
  EXPECT_TRUE(is("dir/sub"));
}

TEST_P(WalkTest, DescriptorsAreClosedOnExec) {
  ASSERT_EQ(open("file"), Errno::kSuccess);
  EXPECT_NE(fcntl(opened_.get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(open("dir/.."), Errno::kSuccess);
  EXPECT_NE(fcntl(opened_.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_P(WalkTest, NeverGoesAboveTheRoot) {
  for (const char* path : {"..", "../", "../secret", "../root/file", "dir/../../secret",
                           "./../secret", "dir/sub/../../..", "dir/sub/../../../secret"}) {
    EXPECT_EQ(open(path), Errno::kPerm) << path;
    EXPECT_EQ(open(path, O_PATH), Errno::kPerm) << path;
    EXPECT_EQ(open(path, O_RDWR | O_CREAT), Errno::kPerm) << path;
  }
  EXPECT_EQ(open("/"), Errno::kPerm);
  EXPECT_EQ(open(outside_.path("secret")), Errno::kPerm);
}

TEST_P(WalkTest, MissingAndWrongKinds) {
  EXPECT_EQ(open("none"), Errno::kNoent);
  EXPECT_EQ(open("none/file"), Errno::kNoent);
  EXPECT_EQ(open("file/inner"), Errno::kNotdir);
  EXPECT_EQ(open("file/.."), Errno::kNotdir);
  EXPECT_EQ(open("file", O_RDONLY | O_DIRECTORY), Errno::kNotdir);
  EXPECT_EQ(open("dir", O_RDWR), Errno::kIsdir);
  EXPECT_EQ(open(std::string(256, 'n')), Errno::kNametoolong);
  EXPECT_EQ(open(std::string(256, 'n') + "/x"), Errno::kNametoolong);
}

TEST_P(WalkTest, TrailingSlashesMeanADirectory) {
  for (const char* slashes : {"/", "//", "///", "/.", "/./"}) {
    const std::string tail = slashes;
    EXPECT_EQ(open("file" + tail), Errno::kNotdir) << tail;
    EXPECT_EQ(open("file" + tail, O_PATH), Errno::kNotdir) << tail;
    EXPECT_EQ(open("file" + tail, O_PATH | O_NOFOLLOW), Errno::kNotdir) << tail;
    EXPECT_EQ(open("dir" + tail), Errno::kSuccess) << tail;
    EXPECT_TRUE(is("dir"));
    EXPECT_EQ(open("none" + tail), Errno::kNoent) << tail;
  }
  EXPECT_EQ(open("none/", O_RDWR | O_CREAT), Errno::kIsdir);
  EXPECT_EQ(open("none//", O_RDWR | O_CREAT | O_EXCL), Errno::kIsdir);
  EXPECT_EQ(open("dir/", O_RDWR | O_CREAT), Errno::kIsdir);
  EXPECT_FALSE(outside_.exists("root/none"));
}

TEST_P(WalkTest, FollowsRelativeLinksInside) {
  outside_.make_link("file", "root/to_file");
  outside_.make_link("to_file", "root/chain");
  outside_.make_link("../file", "root/dir/up");
  outside_.make_link("dir", "root/to_dir");
  outside_.make_link("./dir//sub/../", "root/odd");
  EXPECT_EQ(open("to_file"), Errno::kSuccess);
  EXPECT_EQ(content(), "file");
  EXPECT_EQ(open("chain"), Errno::kSuccess);
  EXPECT_EQ(content(), "file");
  EXPECT_EQ(open("dir/up"), Errno::kSuccess);
  EXPECT_EQ(content(), "file");
  EXPECT_EQ(open("to_dir/inner"), Errno::kSuccess);
  EXPECT_EQ(content(), "inner");
  EXPECT_EQ(open("odd/inner"), Errno::kSuccess);
  EXPECT_EQ(content(), "inner");
  EXPECT_EQ(open("to_dir", O_RDONLY | O_DIRECTORY), Errno::kSuccess);
  EXPECT_TRUE(is("dir"));
  EXPECT_EQ(open("to_dir/", O_PATH | O_NOFOLLOW), Errno::kSuccess);
  EXPECT_TRUE(is("dir"));
  EXPECT_EQ(open("to_file", O_PATH), Errno::kSuccess);
  EXPECT_TRUE(is("file"));
  EXPECT_EQ(open("to_file", O_PATH | O_DIRECTORY), Errno::kNotdir);
  EXPECT_EQ(open("to_file/"), Errno::kNotdir);
}

TEST_P(WalkTest, DoesNotFollowWhereItMayNot) {
  outside_.make_link("file", "root/to_file");
  outside_.make_link("dir", "root/to_dir");
  EXPECT_EQ(open("to_file", O_RDONLY | O_NOFOLLOW), Errno::kLoop);
  EXPECT_EQ(open("to_dir", O_RDONLY | O_NOFOLLOW), Errno::kLoop);
  EXPECT_EQ(open("to_dir", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), Errno::kNotdir);
  EXPECT_EQ(open("to_file", O_PATH | O_NOFOLLOW), Errno::kSuccess);
  EXPECT_TRUE(is("to_file"));
  EXPECT_EQ(open("to_dir/inner", O_RDONLY | O_NOFOLLOW), Errno::kSuccess);
  EXPECT_EQ(open("to_file", O_RDWR | O_CREAT | O_EXCL), Errno::kExist);
}

TEST_P(WalkTest, LinksOutAreRefused) {
  outside_.make_link("../secret", "root/relative");
  outside_.make_link(outside_.path("secret"), "root/absolute");
  outside_.make_link("/", "root/slash");
  outside_.make_link("..", "root/parent");
  outside_.make_link("relative", "root/chain");
  outside_.make_link(outside_.path("root/file"), "root/absolute_inside");
  for (const char* path : {"relative", "absolute", "slash", "parent", "chain", "absolute_inside",
                           "relative/", "slash/no-such-directory/file", "parent/secret",
                           "parent/root/file", "dir/../chain", "slash//", "absolute/"}) {
    EXPECT_EQ(open(path), Errno::kPerm) << path;
    EXPECT_EQ(open(path, O_PATH), Errno::kPerm) << path;
    EXPECT_EQ(open(path, O_PATH | O_DIRECTORY), Errno::kPerm) << path;
    EXPECT_EQ(open(path, O_RDWR), Errno::kPerm) << path;
    const bool slash_behind = path[std::string_view(path).size() - 1] == '/';
    EXPECT_EQ(open(path, O_RDWR | O_CREAT), slash_behind ? Errno::kIsdir : Errno::kPerm) << path;
    EXPECT_EQ(open(path, O_RDWR | O_TRUNC), Errno::kPerm) << path;
  }
  // Not followed at the end, but with a slash behind.
  EXPECT_EQ(open("slash", O_PATH | O_NOFOLLOW), Errno::kSuccess);
  EXPECT_TRUE(is("slash"));
  EXPECT_EQ(open("slash/", O_PATH | O_NOFOLLOW), Errno::kPerm);
  EXPECT_EQ(open("parent/.", O_PATH | O_NOFOLLOW), Errno::kPerm);
  EXPECT_EQ(outside_.read("secret"), "secret");
}

TEST_P(WalkTest, CreatesThroughDanglingLinksOnlyInside) {
  outside_.make_link("dir/new", "root/inside");
  outside_.make_link("../new", "root/out");
  EXPECT_EQ(open("inside", O_RDWR | O_CREAT), Errno::kSuccess);
  EXPECT_TRUE(outside_.exists("root/dir/new"));
  EXPECT_EQ(open("out", O_RDWR | O_CREAT), Errno::kPerm);
  EXPECT_FALSE(outside_.exists("new"));
}

TEST_P(WalkTest, LoopsAndLongChainsEnd) {
  outside_.make_link("loop", "root/loop");
  outside_.make_link("ping", "root/pong");
  outside_.make_link("pong", "root/ping");
  outside_.make_link("deeper/x", "root/deeper");
  for (const char* path : {"loop", "ping", "loop/x", "deeper"}) {
    EXPECT_EQ(open(path), Errno::kLoop) << path;
    EXPECT_EQ(open(path, O_PATH), Errno::kLoop) << path;
    EXPECT_EQ(open(path, O_RDWR | O_CREAT), Errno::kLoop) << path;
  }
  outside_.make_link("file", "root/link0");
  for (int i = 1; i <= kMaxSymlinks; ++i) {
    outside_.make_link("link" + std::to_string(i - 1), "root/link" + std::to_string(i));
  }
  EXPECT_EQ(open("link" + std::to_string(kMaxSymlinks - 1)), Errno::kSuccess);
  EXPECT_EQ(open("link" + std::to_string(kMaxSymlinks)), Errno::kLoop);
}

TEST_P(WalkTest, DeepPathsAndLongTargets) {
  std::string path;
  for (int i = 0; i < kMaxWalkDepth - 1; ++i) path += "d/";
  outside_.make_directory("root/" + path);
  outside_.write("root/" + path + "end", "end");
  EXPECT_EQ(open(path + "end"), Errno::kSuccess);
  EXPECT_EQ(content(), "end");
  std::string back;
  for (int i = 0; i < 500; ++i) back += "dir/../";
  EXPECT_EQ(open(back + "file"), Errno::kSuccess);
  EXPECT_EQ(content(), "file");
}

TEST_P(WalkTest, MagicLinksLeadNowhere) {
  UniqueFd proc(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSERT_TRUE(proc.valid());
  const std::string fd_link = "fd/" + std::to_string(root_.get());
  for (const std::string& path :
       {std::string("root"), std::string("cwd"), std::string("root/etc/passwd"),
        std::string("cwd/.."), std::string("exe"), fd_link, fd_link + "/file",
        fd_link + "/../secret"}) {
    UniqueFd opened;
    const Errno error =
        open_beneath(GetParam(), proc.get(), path, O_RDONLY | O_NONBLOCK, 0, opened);
    EXPECT_TRUE(error == Errno::kLoop || error == Errno::kPerm)
        << path << ": " << static_cast<int>(error);
    EXPECT_FALSE(opened.valid());
  }
}

TEST_P(WalkTest, OpeningAFifoDoesNotWait) {
  outside_.make_fifo("root/fifo");
  EXPECT_EQ(open("fifo", O_RDONLY | O_NONBLOCK), Errno::kSuccess);
  EXPECT_EQ(open("fifo", O_WRONLY | O_NONBLOCK), Errno::kNxio);
}

TEST_P(WalkTest, ParentAndNameOfAPath) {
  struct Expected {
    const char* path;
    const char* name;
    bool slash;
  };
  for (const Expected& expected :
       {Expected{"file", "file", false}, Expected{"file//", "file", true},
        Expected{"dir/x", "x", false}, Expected{"dir/sub/../x/", "x", true},
        Expected{"..x", "..x", false}, Expected{"dir//...", "...", false}}) {
    GuestPath path;
    ASSERT_EQ(path.assign(expected.path), Errno::kSuccess);
    PathParent parent;
    ASSERT_EQ(parent.resolve(GetParam(), root_.get(), path), Errno::kSuccess) << expected.path;
    EXPECT_STREQ(parent.name(), expected.name);
    EXPECT_EQ(parent.trailing_slash(), expected.slash) << expected.path;
    EXPECT_EQ(parent.dots(), 0);
  }
  const auto resolve = [&](std::string_view text, int& dots) {
    GuestPath path;
    EXPECT_EQ(path.assign(text), Errno::kSuccess);
    PathParent parent;
    const Errno error = parent.resolve(GetParam(), root_.get(), path);
    dots = parent.dots();
    return error;
  };
  int dots = 0;
  EXPECT_EQ(resolve("dir/.", dots), Errno::kSuccess);
  EXPECT_EQ(dots, 1);
  EXPECT_EQ(resolve("dir/sub/../", dots), Errno::kSuccess);
  EXPECT_EQ(dots, 2);
  EXPECT_EQ(resolve("..", dots), Errno::kPerm);
  EXPECT_EQ(resolve("../x", dots), Errno::kPerm);
  EXPECT_EQ(resolve("none/x", dots), Errno::kNoent);
  EXPECT_EQ(resolve("file/x", dots), Errno::kNotdir);
  outside_.make_link("..", "root/parent");
  EXPECT_EQ(resolve("parent/x", dots), Errno::kPerm);
}

TEST_P(WalkTest, NothingEscapesWhileTheTreeIsSwapped) {
  // "swing" is by turns a directory inside, a link to the outside, and a link
  // inside; "dir/sub" moves up and down, so that ".." from it changes meaning.
  outside_.make_directory("root/a");
  outside_.write("root/a/name", "inside");
  outside_.make_directory("outside");
  outside_.write("outside/name", "outside");
  outside_.write("name", "outside");
  outside_.make_link("../outside", "root/evil");
  outside_.make_link("a", "root/good");
  std::atomic<bool> done = false;
  std::thread swapper([&] {
    const auto rename = [&](const char* from, const char* to) {
      return renameat(root_.get(), from, root_.get(), to);
    };
    while (!done) {
      rename("a", "swing");
      rename("dir/sub", "sub");
      rename("swing", "a");
      rename("evil", "swing");
      rename("sub", "dir/sub");
      rename("swing", "evil");
      rename("good", "swing");
      rename("dir", "a/dir");
      rename("a/dir", "dir");
      rename("swing", "good");
    }
  });
  constexpr int kRounds = 100'000;
  int reached = 0;
  int escaped = 0;
  for (int i = 0; i < kRounds; ++i) {
    static constexpr const char* kPaths[] = {"swing/name",           "dir/sub/../../a/name",
                                             "a/dir/sub/../../name", "dir/../swing/name",
                                             "good/dir/../name",     "dir/sub/../../name"};
    UniqueFd opened;
    if (i % 8 == 7) {
      GuestPath path;
      (void)path.assign("swing/made");
      PathParent parent;
      if (parent.resolve(GetParam(), root_.get(), path) == Errno::kSuccess) {
        (void)mkdirat(parent.fd(), parent.name(), 0700);
        (void)unlinkat(parent.fd(), parent.name(), AT_REMOVEDIR);
      }
      continue;
    }
    const int flags = i % 2 == 0 ? O_RDONLY | O_NONBLOCK : O_RDWR | O_NONBLOCK;
    if (open_beneath(GetParam(), root_.get(), kPaths[i % std::size(kPaths)], flags, 0, opened) !=
        Errno::kSuccess) {
      continue;
    }
    ++reached;
    char buffer[16];
    const ssize_t count = pread(opened.get(), buffer, sizeof(buffer), 0);
    if (std::string_view(buffer, static_cast<size_t>(std::max<ssize_t>(count, 0))) != "inside") {
      ++escaped;
    }
  }
  done = true;
  swapper.join();
  EXPECT_GT(reached, 0);
  EXPECT_EQ(escaped, 0);
  EXPECT_FALSE(outside_.exists("outside/made"));
}

}  // namespace
}  // namespace wasmrt::wasi
