// SPDX-License-Identifier: Apache-2.0
#include "wasi/fd_table.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>

#include "wasi/context.h"

namespace wasmrt::wasi {

namespace {
constexpr uint32_t kStreams = 3;
}

FdTable::FdTable(std::span<const Preopen> preopens, uint32_t limit)
    : limit_(std::max(limit, kStreams + static_cast<uint32_t>(preopens.size()))) {
  static_assert(kStreams <= kInline);
  for (uint8_t stream = 0; stream < kStreams; ++stream) {
    Descriptor* slot = std::construct_at(slots_ + stream);
    slot->kind = Descriptor::Kind::kStream;
    slot->stream = stream;
  }
  open_ = lowest_free_ = end_ = kStreams;
  for (const Preopen& preopen : preopens) {
    Descriptor descriptor;
    descriptor.kind = Descriptor::Kind::kDirectory;
    descriptor.type = FileType::kDirectory;
    descriptor.read_only = preopen.read_only;
    descriptor.exec = preopen.exec;
    descriptor.preopen = &preopen;
    uint32_t number;
    if (insert(std::move(descriptor), number) != Errno::kSuccess) return;
  }
}

FdTable::~FdTable() { drop_slots(); }

void FdTable::drop_slots() {
  std::destroy_n(slots_, end_);
  if (static_cast<void*>(slots_) != inline_.data()) ::operator delete(slots_);
}

Errno FdTable::grow() {
  const uint32_t capacity = std::min(limit_, capacity_ * 2);
  auto* slots =
      static_cast<Descriptor*>(::operator new(capacity * sizeof(Descriptor), std::nothrow));
  if (slots == nullptr) return Errno::kNomem;
  std::uninitialized_move_n(slots_, end_, slots);
  drop_slots();
  slots_ = slots;
  capacity_ = capacity;
  return Errno::kSuccess;
}

Errno FdTable::insert(Descriptor descriptor, uint32_t& number) {
  if (const Errno result = room(); result != Errno::kSuccess) return result;
  number = lowest_free_;
  while (number < end_ && slots_[number].kind != Descriptor::Kind::kFree) ++number;
  if (number == capacity_) {
    if (const Errno result = grow(); result != Errno::kSuccess) return result;
  }
  if (number < end_) {
    slots_[number] = std::move(descriptor);
  } else {
    std::construct_at(slots_ + number, std::move(descriptor));
    ++end_;
  }
  lowest_free_ = number + 1;
  ++open_;
  return Errno::kSuccess;
}

Errno FdTable::close(uint32_t number) {
  if (find(number) == nullptr) return Errno::kBadf;
  slots_[number] = Descriptor();
  lowest_free_ = std::min(lowest_free_, number);
  --open_;
  return Errno::kSuccess;
}

Errno FdTable::renumber(uint32_t from, uint32_t to) {
  Descriptor* source = find(from);
  Descriptor* target = find(to);
  if (source == nullptr || target == nullptr) return Errno::kBadf;
  if (source == target) return Errno::kSuccess;
  *target = std::move(*source);
  return close(from);
}

Errno FdTable::directory(uint32_t number, Descriptor*& found) {
  Descriptor* descriptor = find(number);
  if (descriptor == nullptr || !descriptor->is_directory()) return Errno::kBadf;
  if (!descriptor->fd.valid()) {
    descriptor->fd.reset(
        ::open(descriptor->preopen->host_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!descriptor->fd.valid()) return errno_from_host(errno);
  }
  found = descriptor;
  return Errno::kSuccess;
}

}  // namespace wasmrt::wasi
