// SPDX-License-Identifier: Apache-2.0
#include "transform.h"

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

template <typename Id>
bool parse_id(std::string_view text, Id& id) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && end == text.data() + text.size();
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

std::optional<User> parse_user(std::string_view text) {
  const size_t colon = text.find(':');
  User user{};
  if (colon == std::string_view::npos || !parse_id(text.substr(0, colon), user.uid) ||
      !parse_id(text.substr(colon + 1), user.gid)) {
    return std::nullopt;
  }
  return user;
}

int transform(const std::optional<User>& user, const std::string& input, const std::string& output,
              const std::function<wasmrt_status(int, int, wasmrt_error&)>& work) {
  if (user) {
    if (const char* failed = become(*user); failed != nullptr) {
      complain(std::string("cannot become user ") + std::to_string(user->uid) + ": " + failed +
               ": " + std::strerror(errno));
      return WASMRT_IO;
    }
  }
  const int input_fd = input == "-" ? STDIN_FILENO : open(input.c_str(), O_RDONLY | O_CLOEXEC);
  if (input_fd < 0) return report_file(input);
  // Not emptied before there is something to put in its place.
  const int output_fd =
      output == "-" ? STDOUT_FILENO : open(output.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (output_fd < 0) return report_file(output);

  wasmrt_error error{};
  const wasmrt_status status = work(input_fd, output_fd, error);
  if (status != WASMRT_OK) complain(error.message);
  struct stat file {};
  if (output != "-" && fstat(output_fd, &file) == 0 && S_ISREG(file.st_mode)) {
    if (status == WASMRT_OK) {
      if (ftruncate(output_fd, lseek(output_fd, 0, SEEK_CUR)) != 0) return report_file(output);
    } else if (file.st_size == 0) {
      unlink(output.c_str());
    }
  }
  return status;
}

}  // namespace wasmctl
