// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/status.h"
#include "wasm_runtime.h"

namespace wasmrt {

/// A file or directory that a guest opened while it initialised, and what
/// shows that it is still the same.
struct OpenedFile {
  std::string path;  ///< on the host
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t bytes = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;

  /// Whether the file at `path` is the one that was opened, unchanged.
  [[nodiscard]] bool is_current() const;
  /// What `descriptor` refers to; nothing if that has no path.
  static std::optional<OpenedFile> of(int descriptor);
};

/// Custom section of a pre-initialised module that lists its OpenedFiles.
inline constexpr std::string_view kFilesSection = "mod_wasm.files";

struct PreInitialized {
  std::vector<uint8_t> module;
  /// The last that the init function wrote, for people: one line, printable.
  std::string output;
};

/// Runs a module's init function and makes what its memory and globals hold
/// then the data of a new module (the Wizer convention): that module's entry
/// point continues where the init function ended. Custom section kFilesSection
/// of the result lists the files that it opened.
///
/// The init function has an empty standard input. Compiles, so it is for a process of
/// its own, whose limits are the limits on its time.
///
/// @param command  arguments, environment, directories, memory limit; its entry
///                 point is the init function, null for "wizer-initialize".
Result<PreInitialized> pre_initialize(std::span<const uint8_t> wasm,
                                      const wasmrt_command_config& command);

/// Reads what pre_initialize() wrote into a module's custom section.
Result<std::vector<OpenedFile>> opened_files(std::span<const uint8_t> wasm);

/// The same list as text, one NUL-terminated record a file, and back.
std::string files_text(std::span<const OpenedFile> files);
Result<std::vector<OpenedFile>> parse_files(std::string_view text);

}  // namespace wasmrt
