// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace wasmrt {

/// Whether the kernel tells which pages of a private mapping a process has
/// written (PAGEMAP_SCAN, Linux 6.7). The first call opens what the kernel is
/// asked through, for this process and its future children; one that has
/// changed its user may no longer be let.
bool knows_written_pages();

/// Gives each page of `memory` that was written since it was mapped the bytes
/// that `pristine` has in its place. `memory` begins and ends at a page's
/// boundary; `pristine` has its size.
/// @return false if it was more than `most_bytes`, or if the kernel does not
///         tell: then only some of them may have been restored.
bool restore_written_pages(std::span<uint8_t> memory, const uint8_t* pristine, size_t most_bytes);

/// Whether the kernel may write pages of this process out to a swap device.
bool has_swap();

}  // namespace wasmrt
