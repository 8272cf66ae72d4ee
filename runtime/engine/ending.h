// SPDX-License-Identifier: Apache-2.0
//
// Private to engine/.
#pragma once

#include <string>

#include "engine/wasmtime_handles.h"

namespace wasmrt {

/// How a guest's code came to its end, other than by returning.
struct Ending {
  TrapHandle trap;
  ErrorHandle error;

  [[nodiscard]] explicit operator bool() const { return trap || error; }
  [[nodiscard]] bool is_stack_overflow() const;
  /// What happened, on one line. Only if there is an end.
  [[nodiscard]] std::string text() const;
  /// The guest's functions, innermost first, printable.
  [[nodiscard]] std::string backtrace() const;
};

}  // namespace wasmrt
