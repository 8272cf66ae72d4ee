// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/pre_initialize.h"
#include "support/status.h"
#include "support/unique_fd.h"
#include "wasm_runtime.h"

namespace wasmrt {

/// What makes a start image another than the module's own: how its init
/// function is called, and when its result is out of date.
class StartRequest {
 public:
  StartRequest(const wasmrt_command_config& command, uint32_t max_age)
      : command_(command), max_age_(max_age) {}

  /// All that decides what the init function does, but the module and the
  /// files it will open; for the image's key.
  [[nodiscard]] std::string key_text() const;

  /// The options and words of `wasmctl image` that stand for it.
  [[nodiscard]] std::vector<std::string> options() const;
  [[nodiscard]] std::vector<std::string> words() const;
  /// The guest's variables, for the process's environment: unlike its command
  /// line, other users cannot read that.
  [[nodiscard]] std::vector<std::string> variables() const;

  /// Why an image made at `made` (seconds since 1970) that opened `files` is
  /// out of date; nothing if it is not.
  [[nodiscard]] std::optional<std::string> outdated(int64_t made,
                                                    std::span<const OpenedFile> files) const;

 private:
  const wasmrt_command_config& command_;
  uint32_t max_age_;
};

/// What stands behind a start image in its file, where the engine does not
/// look: when it was made and what it opened.
struct StartRecord {
  int64_t made = 0;  ///< seconds since 1970
  std::vector<OpenedFile> files;
};

/// A copy of `image` (its first `bytes` bytes) with `record` behind it, in a
/// memfd of `total` bytes.
Result<UniqueFd> append_record(int image, uint64_t bytes, const StartRecord& record,
                               uint64_t& total);

/// Reads the record at the end of the first `bytes` bytes of `image`.
Result<StartRecord> read_record(int image, uint64_t bytes);

}  // namespace wasmrt
