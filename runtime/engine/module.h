// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "support/status.h"

namespace wasmrt {

class Engine;
class Image;
class Instance;

/// A module loaded into an engine, its imports resolved. Immutable; shared by
/// all threads and by every command made from it.
class Module {
 public:
  static Result<std::shared_ptr<Module>> load(std::shared_ptr<Engine> engine, const Image& image);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// The module file, for messages.
  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] Engine& engine() const;

  /// Whether `name` is exported as a function without parameters and results.
  [[nodiscard]] Status check_entry_point(const std::string& name) const;

  /// An instance of it as it was made, to restore others from; null if there is none.
  [[nodiscard]] const Instance* pristine() const;

  struct Parts;
  [[nodiscard]] const Parts& parts() const { return *parts_; }

 private:
  explicit Module(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace wasmrt
