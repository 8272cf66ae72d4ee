// SPDX-License-Identifier: Apache-2.0
#include "cache/sha256.h"

#include <new>

namespace wasmrt {

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  // SHA-256 is in every OpenSSL; what can fail here is memory.
  if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
    throw std::bad_alloc();
  }
}

void Sha256::update(std::span<const uint8_t> bytes) {
  EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
}

void Sha256::update(std::string_view text) {
  EVP_DigestUpdate(context_.get(), text.data(), text.size());
}

Digest Sha256::finish() {
  Digest digest;
  EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr);
  return digest;
}

std::string to_hex(const Digest& digest) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : digest) {
    text.push_back(kHex[byte >> 4]);
    text.push_back(kHex[byte & 15]);
  }
  return text;
}

}  // namespace wasmrt
