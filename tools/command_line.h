// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <getopt.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "wasm_runtime.h"

namespace wasmctl {

// Exit statuses of wasmctl itself; `run` passes on those of the guest.
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitTimedOut = 124;    ///< as timeout(1)
inline constexpr int kExitTrapped = 134;     ///< as a shell reports SIGABRT
inline constexpr int kExitBrokenPipe = 141;  ///< as a shell reports SIGPIPE

/// Prints "wasmctl: message" to standard error.
void complain(const std::string& message);

/// The options of one subcommand, read up to the first word that is none:
/// what follows belongs to the guest.
class OptionReader {
 public:
  /// @param argv     argv[0] is the subcommand's name.
  /// @param options  as for getopt_long, ended by zeros; `val` is what next()
  ///                 returns. 'h' is --help.
  /// @param usage    printed for --help, and named where the user errs.
  OptionReader(int argc, char** argv, const option* options, const char* usage);

  /// The next option's `val`; -1 behind the last one.
  int next();
  /// The value of the option that next() returned.
  [[nodiscard]] std::string_view value() const { return optarg; }

  /// Ends the command line for a reason that the user must know.
  void fail(const std::string& message);
  /// Set if the command line was wrong or asked for help: exit with it.
  [[nodiscard]] std::optional<int> exit_status() const { return exit_status_; }

  /// The words behind the options.
  [[nodiscard]] int word_count() const { return argc_ - optind; }
  [[nodiscard]] char** words() const { return argv_ + optind; }

 private:
  int argc_;
  char** argv_;
  const option* options_;
  const char* usage_;
  std::optional<int> exit_status_;
};

/// "4096", "64K", "256M", "1G"; nothing if it is not a size.
std::optional<uint64_t> parse_bytes(std::string_view text);
/// "10", "0.5"; in milliseconds, nothing if it is not a time above zero.
std::optional<uint32_t> parse_seconds(std::string_view text);
/// "reserved" or "compact".
std::optional<wasmrt_layout> parse_layout(std::string_view text);

/// What "HOST[::GUEST][:ro|:exec]" names.
struct Directory {
  std::string host;  ///< absolute
  std::string guest;
  wasmrt_access access;
};
Directory parse_directory(std::string_view text);
/// Why it cannot be given to a guest; empty if it can.
std::string check_directory(const Directory& directory);

/// The path with the working directory before it if it is relative.
std::string absolute(const std::string& path);

/// The last component of a path.
std::string base_name(std::string_view path);

int run(int argc, char** argv);
int compile(int argc, char** argv);
int inspect(int argc, char** argv);
int image(int argc, char** argv);

}  // namespace wasmctl
