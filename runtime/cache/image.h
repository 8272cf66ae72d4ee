// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "support/status.h"
#include "support/unique_fd.h"
#include "wasm_runtime.h"

namespace wasmrt {

class StartRequest;

/// A compiled module: a verified, open file of the cache, or bytes in memory
/// where no file could be had. Immutable once made; survives fork.
class Image {
 public:
  /// How wasmrt_image_prepare() works; see there.
  static Result<Image> prepare(const wasmrt_cache_config& config, const std::string& path);

  /// How wasmrt_start_image_prepare() works; see there.
  static Result<Image> prepare_started(const wasmrt_cache_config& config, const std::string& path,
                                       const StartRequest& start);

  const std::string& path() const { return path_; }
  const std::string& key() const { return key_; }
  uint64_t module_bytes() const { return module_bytes_; }
  uint64_t image_bytes() const { return image_bytes_; }
  bool cached() const { return cached_; }
  double compile_seconds() const { return compile_seconds_; }
  wasmrt_layout layout() const { return layout_; }

  /// The image, from offset 0: a file of the cache, opened read-only and
  /// verified, with a trailer behind image_bytes() that is not the engine's; or
  /// a sealed memfd, for which on_disk() is false.
  const UniqueFd& file() const { return file_; }
  bool on_disk() const { return on_disk_; }

 private:
  friend class Preparation;
  Image() = default;

  std::string path_;
  std::string key_;
  uint64_t module_bytes_ = 0;
  uint64_t image_bytes_ = 0;
  bool cached_ = false;
  bool on_disk_ = false;
  double compile_seconds_ = 0;
  wasmrt_layout layout_ = WASMRT_LAYOUT_RESERVED;
  UniqueFd file_;
};

}  // namespace wasmrt
