// SPDX-License-Identifier: Apache-2.0
#include "cache/image.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>
#include <vector>

#include "cache/compiler_process.h"

namespace wasmrt {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kNobody = 65534;
const std::string kElf =
    "\x7f"
    "ELF";

std::string contents(int fd, uint64_t bytes) {
  std::string text(bytes, '\0');
  EXPECT_EQ(pread(fd, text.data(), bytes, 0), static_cast<ssize_t>(bytes));
  return text;
}

std::string contents(const Image& image) {
  return contents(image.file().get(), image.image_bytes());
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

/// The smallest module, with a custom section to tell it from others.
std::string module_bytes(char tag) { return std::string("\0asm\1\0\0\0\0\3\1x", 12) + tag; }

class ImageTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/image_test.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
    chmod(name, 0755);
    cache_ = root_ / "some" / "cache";
    module_ = root_ / "module.wasm";
    write_file(module_, module_bytes('a'));
    use_compiler("cat");
  }
  void TearDown() override { fs::remove_all(root_); }

  /// A compiler whose image is the letters ELF and what `body` prints; the
  /// module is on its standard input. Each of its runs leaves a line in `runs`.
  void use_compiler(const std::string& body) {
    const fs::path path = root_ / "compiler";
    write_file(path, "#!/bin/sh\necho $$ >> " + (root_ / "runs").string() +
                         "\nprintf '\\177ELF'\n" + body + "\n");
    chmod(path.c_str(), 0755);
    chmod(root_.c_str(), 0755);
  }
  [[nodiscard]] size_t compiler_runs() const {
    const std::string text = read_file(root_ / "runs");
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  [[nodiscard]] wasmrt_cache_config config() {
    wasmrt_cache_config config{};
    config.size = sizeof config;
    directory_text_ = cache_.string();
    compiler_text_ = (root_ / "compiler").string();
    config.directory = directory_text_.c_str();
    config.compiler = compiler_text_.c_str();
    config.compiler_uid = -1;
    config.compiler_gid = -1;
    config.log = [](void* baton, wasmrt_log_level level, const char* message) {
      static_cast<ImageTest*>(baton)->log_.emplace_back(level, message);
    };
    config.log_baton = this;
    return config;
  }
  Result<Image> prepare() { return Image::prepare(config(), module_.string()); }

  [[nodiscard]] std::vector<std::string> warnings() const {
    std::vector<std::string> found;
    for (const auto& [level, message] : log_) {
      if (level <= WASMRT_LOG_WARNING) found.push_back(message);
    }
    return found;
  }
  [[nodiscard]] std::vector<std::string> cache_files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(cache_)) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }
  [[nodiscard]] fs::path cache_file(const Image& image) const {
    return cache_ / (image.key() + ".cwasm");
  }

  /// Compiles, lets `damage` at the cache file, and expects that it is noticed,
  /// said once with `why`, and made good.
  void expect_rebuilt(const std::string& why, const std::function<void(const fs::path&)>& damage) {
    Result<Image> first = prepare();
    ASSERT_TRUE(first.is_ok()) << first.status().message();
    damage(cache_file(first.value()));
    const size_t runs = compiler_runs();
    log_.clear();
    Result<Image> second = prepare();
    ASSERT_TRUE(second.is_ok()) << second.status().message();
    EXPECT_FALSE(second.value().cached());
    EXPECT_TRUE(second.value().on_disk());
    EXPECT_EQ(compiler_runs(), runs + 1);
    ASSERT_EQ(warnings().size(), 1U) << why;
    EXPECT_NE(warnings()[0].find(why), std::string::npos) << warnings()[0];
    EXPECT_NE(warnings()[0].find("made anew"), std::string::npos);
    log_.clear();
    Result<Image> third = prepare();
    ASSERT_TRUE(third.is_ok());
    EXPECT_TRUE(third.value().cached());
    EXPECT_TRUE(log_.empty());
    EXPECT_EQ(contents(third.value()), kElf + module_bytes('a'));
  }

  /// Runs `work` in a child process. @return its pid.
  static pid_t in_child(const std::function<bool()>& work) {
    const pid_t pid = fork();
    if (pid == 0) _exit(work() ? 0 : 1);
    return pid;
  }
  static bool succeeded(pid_t pid) {
    int status = 0;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  /// Waits until each of the processes has the lock file open.
  void wait_for_lockers(const std::vector<pid_t>& pids) const {
    for (const pid_t pid : pids) {
      const fs::path fds = "/proc/" + std::to_string(pid) + "/fd";
      bool found = false;
      while (!found) {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(fds, ignored)) {
          const std::string target = fs::read_symlink(entry, ignored).string();
          if (target.starts_with(cache_.string()) && target.ends_with(".lock")) {
            found = true;
          }
        }
        if (!found) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    }
  }
  static void wait_for_file(const fs::path& path) {
    while (!fs::exists(path)) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  /// A command for a fake compiler: waits until the test makes the file `go`.
  [[nodiscard]] std::string wait_for_go() const {
    return "while [ ! -e " + (root_ / "go").string() + " ]; do sleep 0.02; done";
  }

  fs::path root_;
  fs::path cache_;
  fs::path module_;
  std::string directory_text_;
  std::string compiler_text_;
  std::vector<std::pair<wasmrt_log_level, std::string>> log_;
};

TEST_F(ImageTest, IsCompiledOnceAndFoundAgain) {
  Result<Image> first = prepare();
  ASSERT_TRUE(first.is_ok()) << first.status().message();
  EXPECT_FALSE(first.value().cached());
  EXPECT_TRUE(first.value().on_disk());
  EXPECT_EQ(first.value().module_bytes(), 13U);
  EXPECT_EQ(first.value().key().size(), 64U);
  EXPECT_EQ(contents(first.value()), kElf + module_bytes('a'));
  ASSERT_EQ(log_.size(), 2U);
  EXPECT_EQ(log_[0].second, "compiling " + module_.string() + " (13 bytes)");
  EXPECT_EQ(log_[1].second.find("compiled " + module_.string() + " in "), 0U);
  EXPECT_EQ(cache_files(), std::vector<std::string>{first.value().key() + ".cwasm"});

  // By content, not by name.
  fs::rename(module_, root_ / "other.wasm");
  module_ = root_ / "other.wasm";
  Result<Image> second = prepare();
  ASSERT_TRUE(second.is_ok());
  EXPECT_TRUE(second.value().cached());
  EXPECT_TRUE(second.value().on_disk());
  EXPECT_EQ(second.value().key(), first.value().key());
  EXPECT_EQ(second.value().image_bytes(), first.value().image_bytes());
  EXPECT_EQ(second.value().compile_seconds(), 0);
  EXPECT_EQ(compiler_runs(), 1U);
}

TEST_F(ImageTest, KeyIsContentAndLayout) {
  Result<Image> first = prepare();
  ASSERT_TRUE(first.is_ok());
  wasmrt_cache_config compact = config();
  compact.layout = WASMRT_LAYOUT_COMPACT;
  Result<Image> second = Image::prepare(compact, module_.string());
  ASSERT_TRUE(second.is_ok());
  EXPECT_EQ(second.value().layout(), WASMRT_LAYOUT_COMPACT);
  EXPECT_NE(second.value().key(), first.value().key());
  write_file(module_, module_bytes('b'));
  Result<Image> third = prepare();
  ASSERT_TRUE(third.is_ok());
  EXPECT_NE(third.value().key(), first.value().key());
  EXPECT_EQ(compiler_runs(), 3U);
}

TEST_F(ImageTest, DamagedFilesAreRebuilt) {
  expect_rebuilt("is not whole",
                 [](const fs::path& file) { fs::resize_file(file, fs::file_size(file) - 1); });
  expect_rebuilt("is too short", [](const fs::path& file) { fs::resize_file(file, 10); });
  expect_rebuilt("is not whole", [](const fs::path& file) {
    std::ofstream(file, std::ios::binary | std::ios::app) << "x";
  });
  expect_rebuilt("checksum", [](const fs::path& file) {
    std::string bytes = read_file(file);
    bytes[6] ^= 1;
    write_file(file, bytes);
  });
  expect_rebuilt("checksum", [](const fs::path& file) {
    std::string bytes = read_file(file);
    bytes.back() ^= 1;
    write_file(file, bytes);
  });
}

TEST_F(ImageTest, ForeignFilesAreRebuilt) {
  expect_rebuilt("can be written by other users",
                 [](const fs::path& file) { chmod(file.c_str(), 0664); });
  expect_rebuilt("can be written by other users",
                 [](const fs::path& file) { chmod(file.c_str(), 0646); });
  expect_rebuilt("cannot be opened", [this](const fs::path& file) {
    fs::rename(file, root_ / "elsewhere");
    fs::create_symlink(root_ / "elsewhere", file);
  });
  expect_rebuilt("is not a regular file", [](const fs::path& file) {
    fs::remove(file);
    ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  });
  expect_rebuilt("another module's image", [this](const fs::path& file) {
    write_file(module_, module_bytes('b'));
    Result<Image> other = prepare();
    ASSERT_TRUE(other.is_ok());
    fs::rename(cache_file(other.value()), file);
    write_file(module_, module_bytes('a'));
  });
  if (geteuid() == 0) {
    expect_rebuilt("belongs to user 65534", [](const fs::path& file) {
      ASSERT_EQ(chown(file.c_str(), kNobody, kNobody), 0);
    });
  }
}

TEST_F(ImageTest, WhatCannotBeReplacedLeavesItInMemory) {
  Result<Image> first = prepare();
  ASSERT_TRUE(first.is_ok());
  const fs::path file = cache_file(first.value());
  fs::remove(file);
  fs::create_directories(file / "full");
  Result<Image> second = prepare();
  ASSERT_TRUE(second.is_ok()) << second.status().message();
  EXPECT_FALSE(second.value().on_disk());
  EXPECT_EQ(contents(second.value()), kElf + module_bytes('a'));
}

TEST_F(ImageTest, DirectoryThatOthersCanWriteIsNotUsed) {
  fs::create_directories(cache_);
  chmod(cache_.c_str(), 0777);
  for (int i = 0; i < 2; ++i) {
    Result<Image> image = prepare();
    ASSERT_TRUE(image.is_ok()) << image.status().message();
    EXPECT_FALSE(image.value().on_disk());
    EXPECT_FALSE(image.value().cached());
    EXPECT_EQ(contents(image.value()), kElf + module_bytes('a'));
  }
  EXPECT_TRUE(cache_files().empty());
  // Once, not for each module.
  ASSERT_EQ(warnings().size(), 1U);
  EXPECT_NE(warnings()[0].find("can be written by other users"), std::string::npos);
}

TEST_F(ImageTest, DirectoryThatCannotBeMadeLeavesItInMemory) {
  cache_ = module_ / "cache";
  Result<Image> image = prepare();
  ASSERT_TRUE(image.is_ok()) << image.status().message();
  EXPECT_FALSE(image.value().on_disk());
  ASSERT_EQ(warnings().size(), 1U);
  EXPECT_NE(warnings()[0].find("Not a directory"), std::string::npos) << warnings()[0];
}

TEST_F(ImageTest, ServerUserReadsButDoesNotWrite) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  Result<Image> mine = prepare();
  ASSERT_TRUE(mine.is_ok());
  const std::string key = mine.value().key();
  EXPECT_TRUE(succeeded(in_child([&] {
    if (setgid(kNobody) != 0 || setuid(kNobody) != 0) return false;
    log_.clear();
    Result<Image> found = prepare();
    if (!found.is_ok() || !found.value().cached() || !log_.empty()) return false;
    // Reopened by its descriptor, as the engine does.
    const std::string path = "/proc/self/fd/" + std::to_string(mine.value().file().get());
    const UniqueFd again(open(path.c_str(), O_RDONLY));
    if (!again.valid()) return false;
    // Not in the cache: made in memory, and said.
    wasmrt_cache_config compact = config();
    compact.layout = WASMRT_LAYOUT_COMPACT;
    Result<Image> made = Image::prepare(compact, module_.string());
    return made.is_ok() && !made.value().on_disk() && warnings().size() == 1 &&
           warnings()[0].find("Permission denied") != std::string::npos;
  })));
}

TEST_F(ImageTest, FullDiskLeavesItInMemory) {
  fs::create_directories(cache_);
  use_compiler("head -c 300000 /dev/zero");
  const pid_t pid = in_child([&] {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", cache_.c_str(), "tmpfs", 0, "size=64k,mode=0755") != 0) {
      _exit(77);
    }
    Result<Image> image = prepare();
    return image.is_ok() && !image.value().on_disk() && !image.value().cached() &&
           image.value().image_bytes() == 300004 && warnings().size() == 1 &&
           warnings()[0].find("No space left on device") != std::string::npos &&
           cache_files().empty();
  });
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "may not mount";
  EXPECT_EQ(status, 0);
}

TEST_F(ImageTest, WithoutADirectoryItIsASealedFileInMemory) {
  wasmrt_cache_config none = config();
  none.directory = nullptr;
  Result<Image> image = Image::prepare(none, module_.string());
  ASSERT_TRUE(image.is_ok()) << image.status().message();
  EXPECT_FALSE(image.value().on_disk());
  EXPECT_EQ(image.value().key().size(), 64U);
  EXPECT_EQ(contents(image.value()), kElf + module_bytes('a'));
  EXPECT_EQ(pwrite(image.value().file().get(), "x", 1, 0), -1);
  EXPECT_EQ(ftruncate(image.value().file().get(), 0), -1);
  EXPECT_TRUE(warnings().empty());
}

TEST_F(ImageTest, ManyProcessesCompileOnce) {
  use_compiler(wait_for_go() + "; cat");
  std::vector<pid_t> children;
  for (int i = 0; i < 12; ++i) {
    children.push_back(in_child([&] {
      Result<Image> image = prepare();
      return image.is_ok() && image.value().on_disk() &&
             contents(image.value()) == kElf + module_bytes('a');
    }));
  }
  wait_for_lockers(children);
  write_file(root_ / "go", "");
  for (const pid_t child : children) EXPECT_TRUE(succeeded(child));
  EXPECT_EQ(compiler_runs(), 1U);
  EXPECT_EQ(cache_files().size(), 1U);
}

TEST_F(ImageTest, ThoseWhoWaitShareAFailure) {
  use_compiler(wait_for_go() + "; echo 'wasmctl: not good' >&2; exit 1");
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    children.push_back(in_child([&] {
      const Result<Image> image = prepare();
      return image.status().code() == WASMRT_INVALID &&
             image.status().message() == module_.string() + ": not good";
    }));
  }
  wait_for_lockers(children);
  write_file(root_ / "go", "");
  for (const pid_t child : children) EXPECT_TRUE(succeeded(child));
  EXPECT_EQ(compiler_runs(), 1U);
  EXPECT_TRUE(cache_files().empty());
  // A failure is not kept: the next attempt is one.
  EXPECT_FALSE(prepare().is_ok());
  EXPECT_EQ(compiler_runs(), 2U);
}

TEST_F(ImageTest, ALockHolderThatDiesFreesTheLockAndTakesItsCompilerAlong) {
  use_compiler(wait_for_go() + "; cat");
  const pid_t holder = in_child([&] { return prepare().is_ok(); });
  wait_for_file(root_ / "runs");
  std::string compiler;
  while (compiler.empty() || compiler.back() != '\n') compiler = read_file(root_ / "runs");
  kill(holder, SIGKILL);
  EXPECT_FALSE(succeeded(holder));
  while (kill(std::stoi(compiler), 0) == 0) {
    // Dead or a zombie that init has yet to reap.
    const std::string stat = read_file("/proc/" + std::to_string(std::stoi(compiler)) + "/stat");
    if (stat.find(") Z") != std::string::npos) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  write_file(root_ / "go", "");
  Result<Image> image = prepare();
  ASSERT_TRUE(image.is_ok()) << image.status().message();
  EXPECT_EQ(compiler_runs(), 2U);
  EXPECT_EQ(cache_files().size(), 1U);
}

TEST_F(ImageTest, LeftoversAreRemoved) {
  fs::create_directories(cache_);
  const fs::path stale = cache_ / "0123.tmp";
  const fs::path fresh = cache_ / "4567.tmp";
  write_file(stale, "x");
  write_file(fresh, "x");
  const timespec old[2] = {{1'000'000, 0}, {1'000'000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, stale.c_str(), old, 0), 0);
  ASSERT_TRUE(prepare().is_ok());
  EXPECT_FALSE(fs::exists(stale));
  EXPECT_TRUE(fs::exists(fresh));
}

TEST_F(ImageTest, AModuleThatIsNoneIsNotCompiled) {
  write_file(module_, std::string("\0asm\x0d\0\1\0", 8));
  Result<Image> image = prepare();
  EXPECT_EQ(image.status().code(), WASMRT_INVALID);
  EXPECT_NE(image.status().message().find(module_.string() + ": is a component"),
            std::string::npos);
  fs::remove(module_);
  EXPECT_EQ(prepare().status().code(), WASMRT_NOT_FOUND);
  module_ = root_;
  EXPECT_EQ(prepare().status().code(), WASMRT_INVALID);
  EXPECT_EQ(compiler_runs(), 0U);
}

TEST_F(ImageTest, ACompilerThatFailsIsExplained) {
  const auto expect = [&](const std::string& body, wasmrt_status code, const std::string& message) {
    use_compiler(body);
    const Result<Image> image = prepare();
    EXPECT_EQ(image.status().code(), code) << body;
    EXPECT_NE(image.status().message().find(message), std::string::npos)
        << image.status().message();
    EXPECT_TRUE(cache_files().empty());
  };
  expect("echo 'wasmctl: bad at byte 5' >&2; exit 1", WASMRT_INVALID, ": bad at byte 5");
  expect("printf 'a\\033[2J\\nb' >&2; exit 1", WASMRT_INVALID, ": a\\x1b[2J; b");
  expect("exit 1", WASMRT_IO, "failed with exit status 1");
  expect("echo why >&2; exit 3", WASMRT_IO, "failed with exit status 3 (why)");
  expect("exit 4", WASMRT_RESOURCES, "ran out of resources");
  expect("kill -SEGV $$", WASMRT_RESOURCES, "ended by a signal: Segmentation fault");
  expect("echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$", WASMRT_RESOURCES,
         "needs more than the 4.0 GiB of memory");
  expect("head -c 1000000 /dev/zero >&2; kill -KILL $$", WASMRT_RESOURCES, "Killed");
}

TEST_F(ImageTest, ACompilerThatPrintsRubbishIsNoticed) {
  for (const std::string text : {"echo hello", "true"}) {
    write_file(root_ / "compiler", "#!/bin/sh\n" + text + "\n");
    const Result<Image> image = prepare();
    EXPECT_EQ(image.status().code(), WASMRT_IO);
    EXPECT_NE(image.status().message().find("ended well but left no"), std::string::npos);
  }
}

TEST_F(ImageTest, ACompilerThatDoesNotStartIsExplained) {
  fs::remove(root_ / "compiler");
  Result<Image> image = prepare();
  EXPECT_EQ(image.status().code(), WASMRT_IO);
  EXPECT_NE(image.status().message().find("does not run: cannot start it: No such file"),
            std::string::npos)
      << image.status().message();
  write_file(root_ / "compiler", "no program");
  EXPECT_NE(prepare().status().message().find("Permission denied"), std::string::npos);
  wasmrt_cache_config none = config();
  none.compiler = nullptr;
  EXPECT_EQ(Image::prepare(none, module_.string()).status().code(), WASMRT_INVALID);
}

TEST_F(ImageTest, ACompilerThatNeverEndsIsEnded) {
  use_compiler("exec sleep 1000");
  wasmrt_cache_config short_time = config();
  short_time.compiler_seconds = 1;
  const Result<Image> image = Image::prepare(short_time, module_.string());
  EXPECT_EQ(image.status().code(), WASMRT_RESOURCES);
  EXPECT_NE(image.status().message().find("longer than the 1 s"), std::string::npos);
}

TEST_F(ImageTest, TheCompilerSeesNothingButItsThreeStreams) {
  const UniqueFd inherited(open("/dev/null", O_RDONLY));  // without close-on-exec
  use_compiler("exec ls /proc/self/fd");
  Result<Image> image = prepare();
  ASSERT_TRUE(image.is_ok()) << image.status().message();
  // The last is the directory that ls reads.
  EXPECT_EQ(contents(image.value()), kElf + "0\n1\n2\n3\n");
}

TEST_F(ImageTest, TheCompilerHasLimits) {
  use_compiler(
      "ulimit -v; ulimit -c; ulimit -f; grep NoNewPrivs /proc/self/status; pwd;"
      "env | grep -c SECRET; echo $0 $*");
  ASSERT_EQ(setenv("A_SECRET", "1", 1), 0);
  wasmrt_cache_config limited = config();
  limited.compiler_memory = uint64_t{1} << 30;
  Result<Image> image = Image::prepare(limited, module_.string());
  ASSERT_TRUE(image.is_ok()) << image.status().message();
  std::string memory = "1048576\n";
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  memory = "unlimited\n";
#endif
  EXPECT_EQ(contents(image.value()), kElf + memory + "0\n4194304\nNoNewPrivs:\t1\n/\n0\n" +
                                         compiler_text_ + " compile --layout reserved - -\n");
}

TEST_F(ImageTest, TheCompilerIsToldWhoToBecome) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  use_compiler("echo $*");
  wasmrt_cache_config other = config();
  other.compiler_uid = 33;
  other.compiler_gid = 34;
  Result<Image> image = Image::prepare(other, module_.string());
  ASSERT_TRUE(image.is_ok());
  EXPECT_EQ(contents(image.value()), kElf + "compile --layout reserved --user 33:34 - -\n");
}

TEST_F(ImageTest, TheServersHandlingOfChildrenDoesNotMatter) {
  // Ignored: the kernel reaps ordinary children by itself.
  struct sigaction ignore {};
  struct sigaction before {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGCHLD, &ignore, &before);
  EXPECT_TRUE(prepare().is_ok());
  sigaction(SIGCHLD, &before, nullptr);

  // A server that reaps whatever child there is.
  std::atomic<bool> stop{false};
  std::thread reaper([&] {
    while (!stop) {
      EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
      std::this_thread::yield();
    }
  });
  write_file(module_, module_bytes('b'));
  EXPECT_TRUE(prepare().is_ok());
  write_file(module_, module_bytes('c'));
  use_compiler("exit 4");
  EXPECT_EQ(prepare().status().code(), WASMRT_RESOURCES);
  stop = true;
  reaper.join();
}

TEST_F(ImageTest, NothingIsLeftOpen) {
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  ASSERT_TRUE(prepare().is_ok());
  const auto before = open_files();
  for (char tag = 'b'; tag < 'f'; ++tag) {
    write_file(module_, module_bytes(tag));
    ASSERT_TRUE(prepare().is_ok());
    ASSERT_TRUE(prepare().is_ok());
  }
  use_compiler("exit 1");
  write_file(module_, module_bytes('z'));
  EXPECT_FALSE(prepare().is_ok());
  EXPECT_EQ(open_files(), before);
  EXPECT_EQ(waitpid(-1, nullptr, __WALL | WNOHANG), -1);
}

TEST_F(ImageTest, PathsAreEscapedInWhatIsSaid) {
  const fs::path odd = root_ / "a\nb.wasm";
  fs::rename(module_, odd);
  module_ = odd;
  ASSERT_TRUE(prepare().is_ok());
  EXPECT_NE(log_.at(0).second.find("a\\x0ab.wasm"), std::string::npos);
  fs::remove(module_);
  EXPECT_NE(prepare().status().message().find("a\\x0ab.wasm"), std::string::npos);
}

TEST(MemoryFile, IsSealedUnlessSomeoneCanWriteToIt) {
  Result<UniqueFd> file = make_memory_file("test");
  ASSERT_TRUE(file.is_ok());
  const int fd = file.value().get();
  ASSERT_EQ(write(fd, "x", 1), 1);
  void* writable = mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ASSERT_NE(writable, MAP_FAILED);
  EXPECT_NE(seal_memory_file(fd).message().find("cannot be sealed"), std::string::npos);
  munmap(writable, 1);
  EXPECT_TRUE(seal_memory_file(fd).is_ok());
  EXPECT_EQ(write(fd, "x", 1), -1);
}

}  // namespace
}  // namespace wasmrt
