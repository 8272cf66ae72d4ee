// SPDX-License-Identifier: Apache-2.0
#include "cache/compiler_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "cache/file_io.h"
#include "support/text.h"

namespace wasmrt {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kProgressEvery{5};
/// Where there is no descriptor that tells of the compiler's end.
constexpr milliseconds kPollEvery{10};
/// Larger than any image: an ELF file's offsets end at 4 GiB.
constexpr uint64_t kMaxImageBytes = uint64_t{2} << 30;
constexpr size_t kMaxMessageBytes = 4096;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// A sanitizer's shadow takes terabytes of address space.
constexpr bool kLimitAddressSpace = false;
#else
constexpr bool kLimitAddressSpace = true;
#endif

/// Everything the processes need, made before they exist: between their start
/// and exec they may only make system calls.
struct ChildPlan {
  const char* program;
  char* const* arguments;
  char* const* environment;
  int module_fd;
  int image_fd;
  int message_fd;
  int status_fd;
  pid_t server;
  rlimit address_space;
  rlimit processor_time;
  rlimit file_size;
};

/// What the child writes where the compiler's message is expected when it
/// cannot become the compiler; it then ends with kNotStarted.
struct ChildFailure {
  char step[48];
  int error;
};
constexpr int kNotStarted = 126;

/// Where the watcher and, until it becomes the compiler, its child have
/// plan.status_fd.
constexpr int kStatusFd = 3;

/// Lowers a limit; one that is lower already stays.
int limit_to(__rlimit_resource_t resource, const rlimit& wanted) {
  rlimit now{};
  if (getrlimit(resource, &now) != 0) return -1;
  now.rlim_max = std::min(now.rlim_max, wanted.rlim_max);
  now.rlim_cur = std::min(now.rlim_max, std::min(now.rlim_cur, wanted.rlim_cur));
  return setrlimit(resource, &now);
}

int close_from(unsigned first) {
  if (syscall(SYS_close_range, first, ~0U, 0) == 0) return 0;
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0) return -1;
  for (rlim_t fd = first; fd < descriptors.rlim_max && fd < (1U << 20); ++fd) {
    close(static_cast<int>(fd));
  }
  return 0;
}

[[noreturn]] void give_up(int message_fd, const char* step) {
  ChildFailure failure{};
  failure.error = errno;
  std::strncpy(failure.step, step, sizeof failure.step - 1);
  // Nothing can be done about a failure to report a failure.
  [[maybe_unused]] const ssize_t written = write(message_fd, &failure, sizeof failure);
  _exit(kNotStarted);
}

/// Ends this process when its parent ends; `parent` may be gone already.
void die_with(pid_t parent, int message_fd) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up(message_fd, "bind it to its parent");
  if (getppid() != parent) _exit(kNotStarted);
}

[[noreturn]] void become_compiler(const ChildPlan& plan, pid_t watcher) {
  static constexpr rlimit kNone = {0, 0};
  if ((kLimitAddressSpace && limit_to(RLIMIT_AS, plan.address_space) != 0) ||
      limit_to(RLIMIT_CPU, plan.processor_time) != 0 ||
      limit_to(RLIMIT_FSIZE, plan.file_size) != 0 || limit_to(RLIMIT_CORE, kNone) != 0) {
    give_up(STDERR_FILENO, "set its limits");
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up(STDERR_FILENO, "forbid new privileges");
  die_with(watcher, STDERR_FILENO);
  if (chdir("/") != 0) give_up(STDERR_FILENO, "change to /");
  close(kStatusFd);

  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_UNBLOCK, &all, nullptr);
  execve(plan.program, plan.arguments, plan.environment);
  give_up(STDERR_FILENO, "start it");
}

/// The server's child: starts the compiler and writes its wait status to
/// plan.status_fd. Only async-signal-safe calls, here and in what it calls:
/// other threads of the server may have held any lock when it was made.
[[noreturn]] void become_watcher(const ChildPlan& plan) {
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) {
    signal(signal_number, SIG_DFL);
  }
  die_with(plan.server, plan.message_fd);
  // They may have the very numbers they shall be moved to.
  std::array<int, 4> fds = {plan.module_fd, plan.image_fd, plan.message_fd, plan.status_fd};
  for (int& fd : fds) {
    fd = fcntl(fd, F_DUPFD, static_cast<int>(fds.size()));
    if (fd < 0) give_up(plan.message_fd, "duplicate a descriptor");
  }
  for (size_t i = 0; i < fds.size(); ++i) dup2(fds[i], static_cast<int>(i));
  close_from(fds.size());

  const pid_t self = getpid();
  const long pid = syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) become_compiler(plan, self);
  if (pid < 0) give_up(STDERR_FILENO, "make a process");
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) close(fd);
  int status = 0;
  while (waitpid(static_cast<pid_t>(pid), &status, 0) < 0) {
    if (errno != EINTR) _exit(kNotStarted);
  }
  [[maybe_unused]] const ssize_t written = write(kStatusFd, &status, sizeof status);
  _exit(0);
}

struct Watcher {
  pid_t pid = -1;
  UniqueFd pidfd;  ///< not valid on kernels before 5.2
};

/// Starts a process without an exit signal: the server's handler of SIGCHLD
/// does not see its end, the server's waiting for "any child" does not take
/// it, and it stays to be reaped even where SIGCHLD is ignored. A process loses
/// this when it calls exec, which is why the compiler is a child of this one.
Result<Watcher> start_watcher(const ChildPlan& plan) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  // No handler of the server may run in the child.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int pidfd = -1;
  const long pid = syscall(SYS_clone, CLONE_PIDFD, nullptr, &pidfd, nullptr, nullptr);
  if (pid == 0) become_watcher(plan);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return Status::resources(errno_text("no process for the compiler", error));
  Watcher watcher;
  watcher.pid = static_cast<pid_t>(pid);
  watcher.pidfd.reset(pidfd);
  return watcher;
}

Result<std::array<UniqueFd, 2>> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Status::resources(errno_text("no pipe", errno));
  return std::array{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

/// Reads what is there without waiting. Keeps the beginning only.
/// @return false at the pipe's end.
bool drain(int fd, std::string& message) {
  char buffer[1024];
  while (true) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno == EAGAIN;
    if (count == 0) return false;
    const size_t room = kMaxMessageBytes - message.size();
    message.append(buffer, std::min(room, static_cast<size_t>(count)));
  }
}

/// The compiler's own words, for a log line.
std::string compiler_message(std::string_view text) {
  static constexpr std::string_view kPrefix = "wasmctl: ";
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  return one_line(text, 800);
}

std::string size_text(uint64_t bytes) {
  const bool large = bytes >= uint64_t{1} << 30;
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s",
                static_cast<double>(bytes) / static_cast<double>(uint64_t{1} << (large ? 30 : 20)),
                large ? "GiB" : "MiB");
  return text;
}

Status explain_end(int wait_status, const CompilerJob& job, const std::string& raw_message) {
  const std::string message = compiler_message(raw_message);
  const std::string appendix = message.empty() ? "" : " (" + message + ")";
  if (WIFSIGNALED(wait_status)) {
    switch (WTERMSIG(wait_status)) {
      case SIGXCPU:
        return Status::resources("the compiler used up its processor time" + appendix);
      case SIGXFSZ:
        return Status::resources("the compiler made an image of more than " +
                                 size_text(kMaxImageBytes) + appendix);
      case SIGABRT:
        if (raw_message.find("memory allocation") != std::string::npos ||
            raw_message.find("bad_alloc") != std::string::npos) {
          return Status::resources("the compiler needs more than the " +
                                   size_text(job.memory_bytes) + " of memory it may use" +
                                   appendix);
        }
        [[fallthrough]];
      default:
        return Status::resources(std::string("the compiler was ended by a signal: ") +
                                 strsignal(WTERMSIG(wait_status)) + appendix);
    }
  }
  const int exit_status = WEXITSTATUS(wait_status);
  if (exit_status == kNotStarted && raw_message.size() == sizeof(ChildFailure)) {
    ChildFailure failure{};
    std::memcpy(&failure, raw_message.data(), sizeof failure);
    return Status::io(errno_text(
        "the compiler " + printable(job.program) + " does not run: cannot " + failure.step,
        failure.error));
  }
  if (exit_status == WASMRT_INVALID && !message.empty()) return Status::invalid(message);
  if (exit_status == WASMRT_RESOURCES) {
    return Status::resources("the compiler ran out of resources" + appendix);
  }
  return Status::io("the compiler " + printable(job.program) + " failed with exit status " +
                    std::to_string(exit_status) + appendix);
}

/// The server's side: waits for the compiler's end, collects what it says, and
/// keeps its time. Whoever destroys it earlier ends the compiler.
class Supervisor {
 public:
  Supervisor(const CompilerJob& job, Watcher watcher, UniqueFd message_fd, UniqueFd status_fd)
      : job_(job),
        watcher_(std::move(watcher)),
        message_fd_(std::move(message_fd)),
        status_fd_(std::move(status_fd)) {
    fcntl(message_fd_.get(), F_SETFL, O_NONBLOCK);
    fcntl(status_fd_.get(), F_SETFL, O_NONBLOCK);
  }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  ~Supervisor() {
    if (reaped_) return;
    // The compiler dies with its watcher.
    kill(watcher_.pid, SIGKILL);
    while (waitpid(watcher_.pid, nullptr, __WALL) < 0 && errno == EINTR) {
    }
  }

  Status wait(const std::function<void(unsigned)>& progress) {
    const Clock::time_point start = Clock::now();
    const Clock::time_point deadline = start + seconds(job_.seconds);
    Clock::time_point next_progress = start + kProgressEvery;
    while (!has_ended()) {
      const Clock::time_point now = Clock::now();
      if (now >= deadline) {
        return Status::resources("the compiler took longer than the " +
                                 std::to_string(job_.seconds) + " s it may take");
      }
      if (now >= next_progress) {
        progress(static_cast<unsigned>(std::chrono::duration_cast<seconds>(now - start).count()));
        next_progress += kProgressEvery;
      }
      pause_until(std::min(deadline, next_progress));
    }
    drain(message_fd_.get(), message_);
    int status = 0;
    if (read(status_fd_.get(), &status, sizeof status) != sizeof status) status = watcher_status_;
    return status == 0 ? Status::ok() : explain_end(status, job_, message_);
  }

  [[nodiscard]] std::string message() const { return compiler_message(message_); }

 private:
  bool has_ended() {
    pid_t got;
    do {
      got = waitpid(watcher_.pid, &watcher_status_, __WALL | WNOHANG);
    } while (got < 0 && errno == EINTR);
    if (got == 0) return false;
    // Its end must not count as success where it is unknown.
    if (got < 0 || watcher_status_ == 0) watcher_status_ = SIGKILL;
    reaped_ = true;
    return true;
  }

  void pause_until(Clock::time_point time) {
    auto left = std::chrono::ceil<milliseconds>(time - Clock::now());
    if (!watcher_.pidfd.valid()) left = std::min(left, kPollEvery);
    pollfd fds[2] = {{watcher_.pidfd.get(), POLLIN, 0}, {message_fd_.get(), POLLIN, 0}};
    const int ready = poll(fds, 2, static_cast<int>(std::max(left.count(), milliseconds::rep{0})));
    if (ready > 0 && fds[1].revents != 0 && !drain(message_fd_.get(), message_)) {
      message_fd_.reset();
    }
  }

  const CompilerJob& job_;
  Watcher watcher_;
  UniqueFd message_fd_;
  UniqueFd status_fd_;
  std::string message_;
  /// Wait status of the watcher, for where it could not report the compiler's.
  int watcher_status_ = 0;
  bool reaped_ = false;
};

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> list;
  for (std::string& text : strings) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

/// What of this process's environment the compiler may need to start at all.
std::vector<std::string> compiler_environment() {
  std::vector<std::string> variables;
  for (const char* name :
       {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name); value != nullptr) {
      variables.push_back(std::string(name) + "=" + value);
    }
  }
  // By default each thread reserves 128 MiB of address space for its heap,
  // which on a machine with many processors would take all that is allowed.
  variables.emplace_back("MALLOC_ARENA_MAX=2");
  return variables;
}

Status check_output(int fd, std::string_view magic) {
  std::array<char, 8> start{};
  const ssize_t got = pread(fd, start.data(), magic.size(), 0);
  if (got != static_cast<ssize_t>(magic.size()) ||
      std::string_view(start.data(), magic.size()) != magic) {
    return Status::io("the compiler ended well but left nothing that can be used");
  }
  return Status::ok();
}

}  // namespace

Result<UniqueFd> make_memory_file(const char* name) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return Status::resources(errno_text("no file in memory", errno));
  return fd;
}

Status seal_memory_file(int fd) {
  // EBUSY is also said of a page that the kernel itself holds, to move it for example. It has
  // waited for 0.15 s by then (memfd_wait_for_pins in mm/memfd.c).
  constexpr int kTries = 20;
  for (int tries = 1;
       fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0;
       ++tries) {
    if (errno != EBUSY || tries == kTries) {
      return Status::io(errno_text("a file in memory cannot be sealed", errno));
    }
  }
  return Status::ok();
}

Result<UniqueFd> run_compiler(const CompilerJob& job, int module_fd,
                              const std::function<void(unsigned)>& progress,
                              std::string* message) {
  Result<UniqueFd> image = make_memory_file("wasm-image");
  if (!image.is_ok()) return image;
  Result<std::array<UniqueFd, 2>> message_pipe = make_pipe();
  if (!message_pipe.is_ok()) return message_pipe.status();
  Result<std::array<UniqueFd, 2>> status_pipe = make_pipe();
  if (!status_pipe.is_ok()) return status_pipe.status();
  if (lseek(module_fd, 0, SEEK_SET) != 0) {
    return Status::io(errno_text("the module cannot be read", errno));
  }

  std::vector<std::string> arguments = {"wasmctl"};
  arguments.insert(arguments.end(), job.command.begin(), job.command.end());
  if (geteuid() == 0 && (job.uid > 0 || job.gid > 0)) {
    const int64_t uid = job.uid >= 0 ? job.uid : geteuid();
    const int64_t gid = job.gid >= 0 ? job.gid : getegid();
    arguments.insert(arguments.end(), {"--user", std::to_string(uid) + ":" + std::to_string(gid)});
  }
  arguments.insert(arguments.end(), {"-", "-"});
  arguments.insert(arguments.end(), job.words.begin(), job.words.end());
  std::vector<std::string> environment = compiler_environment();
  environment.insert(environment.end(), job.environment.begin(), job.environment.end());
  const std::vector<char*> argument_list = pointers(arguments);
  const std::vector<char*> environment_list = pointers(environment);

  ChildPlan plan{};
  plan.program = job.program.c_str();
  plan.arguments = argument_list.data();
  plan.environment = environment_list.data();
  plan.module_fd = module_fd;
  plan.image_fd = image.value().get();
  plan.message_fd = message_pipe.value()[1].get();
  plan.status_fd = status_pipe.value()[1].get();
  plan.server = getpid();
  plan.address_space = {job.memory_bytes, job.memory_bytes};
  // Wall time is what counts; this ends a compiler that nobody watches.
  const rlim_t processor_seconds =
      rlim_t{job.seconds} * std::max(1U, std::thread::hardware_concurrency()) + 1;
  plan.processor_time = {processor_seconds, processor_seconds + 1};
  plan.file_size = {kMaxImageBytes, kMaxImageBytes};

  Result<Watcher> watcher = start_watcher(plan);
  if (!watcher.is_ok()) return watcher.status();
  message_pipe.value()[1].reset();
  status_pipe.value()[1].reset();
  Supervisor supervisor(job, watcher.take(), std::move(message_pipe.value()[0]),
                        std::move(status_pipe.value()[0]));
  if (Status status = supervisor.wait(progress); !status.is_ok()) return status;
  // Sealed first: whoever still holds the descriptor can change nothing of
  // what is looked at afterwards.
  if (Status status = seal_memory_file(image.value().get()); !status.is_ok()) return status;
  if (Status status = check_output(image.value().get(), job.magic); !status.is_ok()) return status;
  if (message != nullptr) *message = supervisor.message();
  return image;
}

}  // namespace wasmrt
