// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace wasmrt::wasi {

static_assert(std::endian::native == std::endian::little,
              "linear memory is little endian; this host is not supported");

/// A pointer or a size inside linear memory (wasm32).
using GuestPtr = uint32_t;
using GuestSize = uint32_t;

/// The linear memory of an instance during one host call. Every access is
/// checked against its end; none can wrap around. Made anew for each host
/// call, since a guest may grow its memory between two of them. The guest does
/// not run while it exists, so what was read once stays as it was read.
class GuestMemory {
 public:
  GuestMemory(uint8_t* base, uint64_t size) : base_(base), size_(size) {}

  [[nodiscard]] uint64_t size() const { return size_; }

  [[nodiscard]] bool contains(uint64_t ptr, uint64_t len) const {
    return len <= size_ && ptr <= size_ - len;
  }

  /// The bytes [ptr, ptr + len), or nothing if they are not all inside.
  [[nodiscard]] std::optional<std::span<uint8_t>> bytes(GuestPtr ptr, uint64_t len) const {
    if (!contains(ptr, len)) return std::nullopt;
    return std::span<uint8_t>(base_ + ptr, len);
  }

  [[nodiscard]] std::optional<std::string_view> string(GuestPtr ptr, GuestSize len) const {
    if (!contains(ptr, len)) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(base_ + ptr), len);
  }

  /// Loads a scalar or a trivially copyable structure; the guest's pointer
  /// needs no alignment.
  template <typename T>
  [[nodiscard]] bool load(GuestPtr ptr, T& value) const {
    if (!contains(ptr, sizeof(T))) return false;
    std::memcpy(&value, base_ + ptr, sizeof(T));
    return true;
  }

  template <typename T>
  [[nodiscard]] bool store(GuestPtr ptr, const T& value) const {
    if (!contains(ptr, sizeof(T))) return false;
    std::memcpy(base_ + ptr, &value, sizeof(T));
    return true;
  }

 private:
  uint8_t* base_;
  uint64_t size_;
};

}  // namespace wasmrt::wasi
