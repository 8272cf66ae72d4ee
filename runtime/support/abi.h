// SPDX-License-Identifier: Apache-2.0
//
// What the extern "C" functions share.
#pragma once

#include <algorithm>
#include <cstring>

#include "support/status.h"
#include "support/text.h"
#include "wasm_runtime.h"

namespace wasmrt {

/// Hands a status to the caller; `error` may be null. Whoever made the message
/// passed what came from outside through printable().
inline wasmrt_status report(const Status& status, wasmrt_error* error) {
  if (!status.is_ok() && error != nullptr) {
    copy_text(status.message(), error->message, sizeof error->message);
  }
  return status.code();
}

/// A caller's structure as this library knows it: what an older caller's
/// structure does not have yet is zero. `size` is its first member.
template <typename T>
T from_caller(const T* theirs) {
  T ours{};
  std::memcpy(&ours, theirs, std::min(theirs->size, sizeof(T)));
  ours.size = sizeof(T);
  return ours;
}

/// The other way: fills in as much as the caller's structure has room for.
template <typename T>
void to_caller(T& ours, T* theirs) {
  ours.size = theirs->size;
  std::memcpy(theirs, &ours, std::min(theirs->size, sizeof(T)));
}

}  // namespace wasmrt
