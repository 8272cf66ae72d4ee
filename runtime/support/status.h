// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>

#include "wasm_runtime.h"

namespace wasmrt {

/// What came of an operation: a code of the public ABI and a sentence for a
/// person. Cheap when ok.
class [[nodiscard]] Status {
 public:
  static Status ok() { return Status(WASMRT_OK, {}); }
  static Status invalid(std::string message) { return {WASMRT_INVALID, std::move(message)}; }
  static Status not_found(std::string message) { return {WASMRT_NOT_FOUND, std::move(message)}; }
  static Status io(std::string message) { return {WASMRT_IO, std::move(message)}; }
  static Status resources(std::string message) { return {WASMRT_RESOURCES, std::move(message)}; }
  static Status busy(std::string message) { return {WASMRT_BUSY, std::move(message)}; }

  [[nodiscard]] bool is_ok() const { return code_ == WASMRT_OK; }
  [[nodiscard]] wasmrt_status code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }

  /// The same code with `context` and ": " before the message.
  [[nodiscard]] Status with_context(const std::string& context) const {
    return {code_, context + ": " + message_};
  }

 private:
  Status(wasmrt_status code, std::string message) : code_(code), message_(std::move(message)) {}

  wasmrt_status code_;
  std::string message_;
};

/// A value or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : status_(Status::ok()), value_(std::move(value)) {}  // NOLINT: meant to convert
  Result(Status status) : status_(std::move(status)) { assert(!status_.is_ok()); }  // NOLINT

  [[nodiscard]] bool is_ok() const { return status_.is_ok(); }
  [[nodiscard]] const Status& status() const { return status_; }
  T& value() { return *value_; }
  const T& value() const { return *value_; }
  T take() { return std::move(*value_); }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace wasmrt
