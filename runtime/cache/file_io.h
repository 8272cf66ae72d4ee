// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "support/status.h"

namespace wasmrt {

/// "what: Permission denied" for an errno value.
std::string errno_text(const std::string& what, int error);

using PieceSink = std::function<Status(std::span<const uint8_t>)>;

/// Gives the first `bytes` bytes of a file to `sink` piece by piece; stops at
/// the first error. A shorter file is an error. The file is read and not
/// mapped: one that shrinks meanwhile must not kill the process, and in pieces
/// that fit the processor's cache this is as fast.
Status read_pieces(int fd, uint64_t bytes, const PieceSink& sink);

/// Writes all of it at the descriptor's position.
Status write_all(int fd, std::span<const uint8_t> bytes);

}  // namespace wasmrt
