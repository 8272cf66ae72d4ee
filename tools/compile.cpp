// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "command_line.h"

namespace wasmctl {
namespace {

constexpr const char* kUsage =
    "usage: wasmctl compile [--layout LAYOUT] [--user UID:GID] INPUT OUTPUT\n"
    "\n"
    "Compiles the WebAssembly module INPUT for this machine and this version of\n"
    "the runtime and writes the image to OUTPUT. '-' is standard input or output.\n"
    "The server runs this by itself for modules that are not in its cache.\n"
    "\n"
    "  --layout LAYOUT  of the linear memory the code will run with: 'reserved'\n"
    "                   (the default: 4 GiB of address space an instance, no\n"
    "                   bounds checks) or 'compact' (for little address space)\n"
    "  --user UID:GID   become this user and group before anything is read; needs\n"
    "                   root\n"
    "\n"
    "Exit status: 0 if the image was written; 1 if the module is not valid; 2 for a\n"
    "wrong command line or a missing file; 3 if reading or writing failed; 4 if\n"
    "memory ran out.\n";

struct User {
  uid_t uid;
  gid_t gid;
};

template <typename Id>
bool parse_id(std::string_view text, Id& id) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<User> parse_user(std::string_view text) {
  const size_t colon = text.find(':');
  User user{};
  if (colon == std::string_view::npos || !parse_id(text.substr(0, colon), user.uid) ||
      !parse_id(text.substr(colon + 1), user.gid)) {
    return std::nullopt;
  }
  return user;
}

/// Gives up root for good. Done here and not by whoever starts this program,
/// so that its own file and its libraries may lie where `user` cannot look.
/// @return what failed, or nullptr.
const char* become(const User& user) {
  int parent_death_signal = 0;
  const pid_t parent = getppid();
  prctl(PR_GET_PDEATHSIG, &parent_death_signal);
  if (setgroups(1, &user.gid) != 0) return "setgroups";
  if (setresgid(user.gid, user.gid, user.gid) != 0) return "setresgid";
  if (setresuid(user.uid, user.uid, user.uid) != 0) return "setresuid";
  // The kernel forgets the signal when the user changes.
  if (parent_death_signal != 0) {
    if (prctl(PR_SET_PDEATHSIG, parent_death_signal) != 0) return "prctl";
    if (getppid() != parent) raise(parent_death_signal);
  }
  return nullptr;
}

int report_file(const std::string& path) {
  const int error = errno;
  complain(path + ": " + std::strerror(error));
  return error == ENOENT || error == ENOTDIR ? WASMRT_NOT_FOUND : WASMRT_IO;
}

}  // namespace

int compile(int argc, char** argv) {
  static const option kOptions[] = {{"layout", required_argument, nullptr, 'l'},
                                    {"user", required_argument, nullptr, 'u'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {}};
  wasmrt_layout layout = WASMRT_LAYOUT_RESERVED;
  std::optional<User> user;
  OptionReader options(argc, argv, kOptions, kUsage);
  for (int found = options.next(); found != -1; found = options.next()) {
    if (found == 'l') {
      const std::optional<wasmrt_layout> parsed = parse_layout(options.value());
      if (!parsed) options.fail("a layout is 'reserved' or 'compact'");
      layout = parsed.value_or(layout);
    } else {
      user = parse_user(options.value());
      if (!user) options.fail("a user is UID:GID, both numbers");
    }
    if (options.exit_status()) break;
  }
  if (!options.exit_status() && options.word_count() != 2) {
    options.fail("an input and an output are expected");
  }
  if (options.exit_status()) return *options.exit_status();

  if (user) {
    if (const char* failed = become(*user); failed != nullptr) {
      complain(std::string("cannot become user ") + std::to_string(user->uid) + ": " + failed +
               ": " + std::strerror(errno));
      return WASMRT_IO;
    }
  }
  const std::string input = options.words()[0];
  const std::string output = options.words()[1];
  const int module_fd = input == "-" ? STDIN_FILENO : open(input.c_str(), O_RDONLY | O_CLOEXEC);
  if (module_fd < 0) return report_file(input);
  // Not emptied before there is something to put in its place.
  const int image_fd =
      output == "-" ? STDOUT_FILENO : open(output.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (image_fd < 0) return report_file(output);

  wasmrt_error error{};
  const wasmrt_status status = wasmrt_compile(module_fd, layout, image_fd, &error);
  if (status != WASMRT_OK) complain(error.message);
  struct stat file {};
  if (output != "-" && fstat(image_fd, &file) == 0 && S_ISREG(file.st_mode)) {
    if (status == WASMRT_OK) {
      if (ftruncate(image_fd, lseek(image_fd, 0, SEEK_CUR)) != 0) return report_file(output);
    } else if (file.st_size == 0) {
      unlink(output.c_str());
    }
  }
  return status;
}

}  // namespace wasmctl
