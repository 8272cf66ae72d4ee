// SPDX-License-Identifier: Apache-2.0
#include "engine/module_info.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "support/text.h"
#include "wasi/table.h"

namespace wasmrt {
namespace {

// What the engine's own validator allows.
constexpr uint32_t kMaxItems = 1'000'000;
constexpr uint32_t kMaxMemories = 100;
constexpr uint32_t kMaxValues = 1000;
constexpr uint32_t kMaxNameBytes = 100'000;

/// Far above what a compiler writes into any of the sections read here.
constexpr uint64_t kMaxSectionBytes = uint64_t{64} << 20;

constexpr size_t kHeaderBytes = 8;
constexpr std::array<uint8_t, 4> kMagic = {0x00, 'a', 's', 'm'};
/// A section's identifier and its size, a LEB128 of up to five bytes.
constexpr size_t kMaxFrameBytes = 6;

enum SectionId : uint8_t {
  kCustomSection = 0,
  kTypeSection = 1,
  kImportSection = 2,
  kFunctionSection = 3,
  kMemorySection = 5,
  kExportSection = 7,
};

struct SectionKind {
  const char* name;
  int order;  ///< sections other than custom ones stand in this order
};

/// By identifier.
constexpr std::array<SectionKind, 14> kSections = {{{"custom", 0},
                                                    {"type", 1},
                                                    {"import", 2},
                                                    {"function", 3},
                                                    {"table", 4},
                                                    {"memory", 5},
                                                    {"global", 7},
                                                    {"export", 8},
                                                    {"start", 9},
                                                    {"element", 10},
                                                    {"code", 12},
                                                    {"data", 13},
                                                    {"data count", 11},
                                                    {"tag", 6}}};

std::string at(uint64_t offset) { return " at byte " + std::to_string(offset); }

/// What people take for a module, by its first bytes.
struct FileKind {
  std::string_view prefix;
  const char* description;
};

constexpr FileKind kFileKinds[] = {
    {"\x7f"
     "ELF",
     "a native program or an already compiled module (ELF); give the .wasm file itself"},
    {"(module", "WebAssembly text; translate it with wat2wasm"},
    {"(component", "the text of a component; mod_wasm runs core modules (WASI preview 1 commands)"},
    {"(;", "WebAssembly text; translate it with wat2wasm"},
    {";;", "WebAssembly text; translate it with wat2wasm"},
    {"#!", "a script; a module of its interpreter would be needed"},
    {"version https://git-lfs", "a git-lfs pointer; fetch the file with git lfs pull"},
    {"<", "a text with markup (HTML, XML or PHP)"},
    {"BC\xc0\xde", "LLVM bitcode; it has not been linked"},
    {"!<arch>", "a static library"},
    {"\x1f\x8b", "compressed by gzip; unpack it first"},
    {"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it first"},
    {"PK\x03\x04", "a zip archive; unpack it first"},
    {"MZ", "a Windows program"},
};

/// @param bytes  the file's first ones, at least four.
Status wrong_kind(std::span<const uint8_t> bytes) {
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string_view text = start.substr(std::min(start.find_first_not_of(" \t\r\n"),  //
                                                      start.size()));
  for (const FileKind& kind : kFileKinds) {
    if (text.starts_with(kind.prefix)) {
      return Status::invalid(std::string("is not a WebAssembly module but ") + kind.description);
    }
  }
  return Status::invalid("is not a WebAssembly module: it starts with \"" +
                         printable(start.substr(0, 4)) + "\" instead of \"\\x00asm\"");
}

}  // namespace

/// Where the bytes come from: a file, or memory.
class ByteSource {
 public:
  explicit ByteSource(std::span<const uint8_t> bytes) : bytes_(bytes), size_(bytes.size()) {}
  ByteSource(int fd, uint64_t size) : fd_(fd), size_(size) {}

  [[nodiscard]] uint64_t size() const { return size_; }

  /// Reads all of `out`; the range lies within size().
  Status read(uint64_t offset, std::span<uint8_t> out) const {
    if (fd_ < 0) {
      std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
      return Status::ok();
    }
    // Not mapped: a file that shrinks meanwhile must not kill the process.
    while (!out.empty()) {
      const ssize_t count = pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Status::io(std::string("cannot be read: ") + std::strerror(errno));
      if (count == 0) return Status::invalid("changed while it was read");
      offset += static_cast<uint64_t>(count);
      out = out.subspan(static_cast<size_t>(count));
    }
    return Status::ok();
  }

 private:
  std::span<const uint8_t> bytes_;
  int fd_ = -1;
  uint64_t size_;
};

/// Reads one section's bytes. The first error sticks: from then on each read
/// gives zeros and ok() is false, so that a caller may look once an item.
class SectionCursor {
 public:
  SectionCursor(std::span<const uint8_t> bytes, uint64_t file_offset)
      : bytes_(bytes), file_offset_(file_offset) {}

  [[nodiscard]] bool ok() const { return error_.empty(); }
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] size_t left() const { return bytes_.size() - position_; }
  [[nodiscard]] uint64_t offset() const { return file_offset_ + position_; }

  void fail(const std::string& what, uint64_t offset) {
    if (ok()) error_ = what + at(offset);
  }

  uint8_t u8() {
    if (!ok()) return 0;
    if (left() == 0) {
      fail("the section ends too early", offset());
      return 0;
    }
    return bytes_[position_++];
  }

  uint32_t u32() { return static_cast<uint32_t>(leb(32)); }
  uint64_t u64() { return leb(64); }

  /// How many items follow, each at least `item_bytes` long.
  uint32_t count(uint32_t limit, size_t item_bytes) {
    const uint64_t start = offset();
    const uint32_t value = u32();
    if (ok() && value > limit) {
      fail("a count of " + std::to_string(value) + " where " + std::to_string(limit) +
               " are allowed",
           start);
    } else if (ok() && value > left() / item_bytes) {
      fail("a count of " + std::to_string(value) + " for which the section is too short", start);
    }
    return ok() ? value : 0;
  }

  std::string name() {
    const uint64_t start = offset();
    const uint32_t length = u32();
    if (ok() && (length > kMaxNameBytes || length > left())) fail("a name is too long", start);
    if (!ok()) return {};
    std::string text(reinterpret_cast<const char*>(bytes_.data() + position_), length);
    position_ += length;
    return text;
  }

  /// @return false if the form is not known; the cursor is then of no use.
  bool value_type(ValType& type) {
    const uint8_t code = u8();
    switch (code) {
      case 0x7f:
      case 0x7e:
      case 0x7d:
      case 0x7c:
      case 0x7b:
      case 0x70:
      case 0x6f:
        type = static_cast<ValType>(code);
        return true;
      case 0x64:  // a reference to a heap type: an index or a code of its own
      case 0x63:
        leb(33);
        type = ValType::kReference;
        return true;
      default:  // abbreviated reference types have one byte
        type = ValType::kReference;
        return code >= 0x65 && code <= 0x77;
    }
  }

  MemoryType limits() {
    const uint64_t start = offset();
    const uint8_t flags = u8();
    if (flags > 0x0f) fail("limits of an unknown form", start);
    const bool wide = (flags & 4) != 0;
    MemoryType type;
    type.minimum = wide ? u64() : u32();
    if ((flags & 1) != 0) type.maximum = wide ? u64() : u32();
    if ((flags & 8) != 0) u32();  // the logarithm of the page size
    return type;
  }

 private:
  uint64_t leb(int bits) {
    const uint64_t start = offset();
    uint64_t value = 0;
    for (int shift = 0; ok(); shift += 7) {
      const uint8_t byte = u8();
      const int room = bits - shift;
      if (room <= 0 || (room < 7 && (byte & 0x7f) >> room != 0 && bits != 33)) {
        fail("an integer is too large", start);
        break;
      }
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return 0;
  }

  std::span<const uint8_t> bytes_;
  uint64_t file_offset_;
  size_t position_ = 0;
  std::string error_;
};

/// One reading of one module.
class ModuleReader {
 public:
  ModuleReader(const ByteSource& source, ModuleInfo& info) : source_(source), info_(info) {}

  Status read() {
    info_ = ModuleInfo();
    info_.file_bytes_ = source_.size();
    Status status = read_header();
    uint64_t offset = kHeaderBytes;
    while (status.is_ok() && offset < source_.size()) status = read_section(offset);
    return status;
  }

 private:
  Status read_header() {
    std::array<uint8_t, 32> bytes{};
    const size_t size = std::min<uint64_t>(bytes.size(), source_.size());
    if (size == 0) return Status::invalid("is not a WebAssembly module: it is empty");
    if (Status status = source_.read(0, std::span(bytes).first(size)); !status.is_ok()) {
      return status;
    }
    if (size < kMagic.size() || !std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) {
      return wrong_kind(std::span(bytes).first(size));
    }
    if (size < kHeaderBytes) return Status::invalid("is cut off inside its header");
    const int version = bytes[4] | bytes[5] << 8;
    const int layer = bytes[6] | bytes[7] << 8;
    if (layer != 0) {
      return Status::invalid(
          "is a component; mod_wasm runs core modules (WASI preview 1 commands)");
    }
    if (version != 1) {
      return Status::invalid("has version " + std::to_string(version) +
                             " of the binary format; version 1 is known");
    }
    return Status::ok();
  }

  /// Reads the section at `offset` and moves behind it.
  Status read_section(uint64_t& offset) {
    std::span<const uint8_t> frame;
    if (Status status = window(offset, frame); !status.is_ok()) return status;
    SectionCursor header(frame, offset);
    const uint8_t id = header.u8();
    const uint32_t size = header.u32();
    if (!header.ok()) return Status::invalid("is damaged: " + header.error());
    if (id >= kSections.size()) {
      return Status::invalid("is damaged: section " + std::to_string(id) + " is not known," +
                             at(offset));
    }
    const SectionKind& kind = kSections[id];
    const uint64_t start = header.offset();
    if (size > source_.size() - start) {
      return Status::invalid("is cut off: its " + std::string(kind.name) + " section at byte " +
                             std::to_string(offset) + " needs " + std::to_string(size) +
                             " bytes and " + std::to_string(source_.size() - start) + " are left");
    }
    if (id != kCustomSection) {
      if (kind.order <= last_order_) {
        return Status::invalid("is damaged: its " + std::string(kind.name) +
                               " section is there twice or out of order," + at(offset));
      }
      last_order_ = kind.order;
    }
    offset = start + size;
    if (id != kTypeSection && id != kImportSection && id != kFunctionSection &&
        id != kMemorySection && id != kExportSection) {
      return Status::ok();
    }
    if (size > kMaxSectionBytes) {
      return Status::invalid("has a " + std::string(kind.name) + " section of more than 64 MiB");
    }
    std::vector<uint8_t> bytes(size);
    if (Status status = source_.read(start, bytes); !status.is_ok()) return status;
    SectionCursor cursor(bytes, start);
    const bool whole = read_items(id, cursor);
    if (cursor.ok() && whole && cursor.left() != 0) {
      cursor.fail("the section is longer than its items", cursor.offset());
    }
    if (cursor.ok()) return Status::ok();
    return Status::invalid("is damaged in its " + std::string(kind.name) +
                           " section: " + cursor.error());
  }

  /// The bytes at `offset`, enough for a section's frame if the file has them.
  Status window(uint64_t offset, std::span<const uint8_t>& frame) {
    const uint64_t wanted = std::min<uint64_t>(kMaxFrameBytes, source_.size() - offset);
    if (offset < window_offset_ || offset + wanted > window_offset_ + window_.size()) {
      window_.resize(std::min<uint64_t>(kWindowBytes, source_.size() - offset));
      window_offset_ = offset;
      if (Status status = source_.read(offset, window_); !status.is_ok()) return status;
    }
    frame = std::span(window_).subspan(offset - window_offset_);
    return Status::ok();
  }

  /// @return false if the items' end was not reached for another reason than
  /// an error.
  bool read_items(uint8_t id, SectionCursor& cursor) {
    switch (id) {
      case kTypeSection:
        return read_types(cursor);
      case kImportSection:
        read_imports(cursor);
        break;
      case kFunctionSection:
        for (uint32_t n = cursor.count(kMaxItems, 1); n > 0 && cursor.ok(); --n) {
          info_.functions_.push_back(cursor.u32());
        }
        break;
      case kMemorySection:
        for (uint32_t n = cursor.count(kMaxMemories, 2); n > 0 && cursor.ok(); --n) {
          info_.memories_.push_back(cursor.limits());
        }
        break;
      default:
        read_exports(cursor);
        break;
    }
    return true;
  }

  bool read_types(SectionCursor& cursor) {
    static constexpr uint8_t kFunctionForm = 0x60;
    for (uint32_t n = cursor.count(kMaxItems, 1); n > 0 && cursor.ok(); --n) {
      if (cursor.u8() != kFunctionForm) return false;
      ModuleInfo::TypeSlot slot{};
      slot.start = static_cast<uint32_t>(info_.type_codes_.size());
      for (uint16_t* counter : {&slot.parameters, &slot.results}) {
        *counter = static_cast<uint16_t>(cursor.count(kMaxValues, 1));
        for (uint32_t i = 0; i < *counter && cursor.ok(); ++i) {
          ValType type{};
          if (!cursor.value_type(type)) return false;
          info_.type_codes_.push_back(type);
        }
      }
      if (cursor.ok()) info_.types_.push_back(slot);
    }
    return true;
  }

  void read_imports(SectionCursor& cursor) {
    uint32_t tables = 0;
    uint32_t globals = 0;
    uint32_t tags = 0;
    for (uint32_t n = cursor.count(kMaxItems, 4); n > 0 && cursor.ok(); --n) {
      ModuleImport item;
      item.module = cursor.name();
      item.name = cursor.name();
      const uint64_t start = cursor.offset();
      const uint8_t kind = cursor.u8();
      ValType type{};
      bool known = true;
      switch (kind) {
        case 0:
          item.index = static_cast<uint32_t>(info_.functions_.size());
          info_.functions_.push_back(cursor.u32());
          break;
        case 1:
          item.index = tables++;
          known = cursor.value_type(type);
          cursor.limits();
          break;
        case 2:
          item.index = static_cast<uint32_t>(info_.memories_.size());
          info_.memories_.push_back(cursor.limits());
          break;
        case 3:
          item.index = globals++;
          known = cursor.value_type(type);
          cursor.u8();  // mutable or not
          break;
        case 4:
          item.index = tags++;
          cursor.u8();
          cursor.u32();
          break;
        default:
          known = false;
      }
      if (!known) cursor.fail("an import of an unknown kind", start);
      if (!cursor.ok()) break;
      item.kind = static_cast<ExternKind>(kind);
      info_.imports_.push_back(std::move(item));
    }
  }

  void read_exports(SectionCursor& cursor) {
    for (uint32_t n = cursor.count(kMaxItems, 3); n > 0 && cursor.ok(); --n) {
      ModuleExport item;
      item.name = cursor.name();
      const uint64_t start = cursor.offset();
      const uint8_t kind = cursor.u8();
      item.index = cursor.u32();
      if (kind > static_cast<uint8_t>(ExternKind::kTag)) {
        cursor.fail("an export of an unknown kind", start);
      }
      if (!cursor.ok()) break;
      item.kind = static_cast<ExternKind>(kind);
      info_.exports_.push_back(std::move(item));
    }
  }

  static constexpr size_t kWindowBytes = 16 << 10;

  const ByteSource& source_;
  ModuleInfo& info_;
  int last_order_ = 0;
  uint64_t window_offset_ = 0;
  std::vector<uint8_t> window_;
};

Status ModuleInfo::read(int fd) {
  struct stat file {};
  if (fstat(fd, &file) != 0) {
    return Status::io(std::string("cannot be read: ") + std::strerror(errno));
  }
  return ModuleReader(ByteSource(fd, static_cast<uint64_t>(file.st_size)), *this).read();
}

Status ModuleInfo::read(std::span<const uint8_t> bytes) {
  return ModuleReader(ByteSource(bytes), *this).read();
}

const ModuleExport* ModuleInfo::find_export(std::string_view name) const {
  const auto found = std::find_if(exports_.begin(), exports_.end(),
                                  [&](const ModuleExport& item) { return item.name == name; });
  return found == exports_.end() ? nullptr : &*found;
}

std::optional<FunctionType> ModuleInfo::function_type(uint32_t function) const {
  if (function >= functions_.size() || functions_[function] >= types_.size()) return std::nullopt;
  const TypeSlot& slot = types_[functions_[function]];
  const std::span all(type_codes_);
  return FunctionType{all.subspan(slot.start, slot.parameters),
                      all.subspan(slot.start + slot.parameters, slot.results)};
}

std::optional<MemoryType> ModuleInfo::memory_type(uint32_t memory) const {
  if (memory >= memories_.size()) return std::nullopt;
  return memories_[memory];
}

namespace {

const char* to_string(ValType type) {
  switch (type) {
    case ValType::kI32:
      return "i32";
    case ValType::kI64:
      return "i64";
    case ValType::kF32:
      return "f32";
    case ValType::kF64:
      return "f64";
    case ValType::kV128:
      return "v128";
    case ValType::kFuncref:
      return "funcref";
    case ValType::kExternref:
      return "externref";
    case ValType::kReference:
      break;
  }
  return "ref";
}

std::string list(std::span<const ValType> types) {
  std::string text = "(";
  for (const ValType type : types) {
    if (text.size() > 1) text += ", ";
    text += to_string(type);
  }
  return text + ")";
}

/// The type of a host function in the terms of a module.
struct HostType {
  std::vector<ValType> parameters;
  std::vector<ValType> results;

  explicit HostType(const wasi::HostFunction& function) {
    for (const wasi::ValueType type : function.parameters) {
      parameters.push_back(type == wasi::ValueType::kI32 ? ValType::kI32 : ValType::kI64);
    }
    if (function.has_result) results.push_back(ValType::kI32);
  }
  [[nodiscard]] bool matches(const FunctionType& type) const {
    return std::equal(parameters.begin(), parameters.end(), type.parameters.begin(),
                      type.parameters.end()) &&
           std::equal(results.begin(), results.end(), type.results.begin(), type.results.end());
  }
};

/// Where a module that imports from `module` was made for.
std::string origin_of(const ModuleImport& import) {
  const std::string_view module = import.module;
  if (module == "env" && import.name == "__linear_memory") {
    return "is an object file; link it with wasm-ld (clang without -c)";
  }
  if (module == "wasi_snapshot_preview1" || module == "wasi_unstable") {
    return "WASI preview 1 has no such function; it is an extension of another runtime";
  }
  if (module == "mod_wasm") {
    return "this version has no such function; the module was made for another one";
  }
  if (module == "wasi" && import.name == "thread-spawn") {
    return "threads (wasi-threads) are not offered; build it without -pthread";
  }
  if (module.starts_with("wasix_")) {
    return "WASIX is an extension of another runtime; build it for WASI preview 1";
  }
  if (module == "go" || module == "gojs") {
    return "it was built for browsers; build it with GOOS=wasip1 GOARCH=wasm";
  }
  if (module == "wbg" || module.starts_with("__wbindgen")) {
    return "it was built by wasm-bindgen for JavaScript; build it for the target wasm32-wasip1";
  }
  if (module.find(':') != std::string_view::npos || module == "$root") {
    return "it is the inner module of a component; mod_wasm runs WASI preview 1 commands";
  }
  if (module == "env") {
    return "mod_wasm offers the functions of WASI preview 1 only; a function that no library "
           "defined when the module was linked, or a host program of its own (JavaScript, "
           "Emscripten without -sSTANDALONE_WASM), leaves such an import";
  }
  return "mod_wasm offers the functions of WASI preview 1 only";
}

}  // namespace

std::string to_string(const std::optional<FunctionType>& type) {
  if (!type) return "(unknown)";
  return list(type->parameters) + " -> " + list(type->results);
}

std::string to_string(const std::optional<MemoryType>& type) {
  if (!type) return "";
  std::string text = std::to_string(type->minimum);
  if (type->maximum) text += " to " + std::to_string(*type->maximum);
  const bool one = type->maximum.value_or(type->minimum) == 1;
  return text + (one ? " page" : " pages");
}

const char* to_string(ExternKind kind) {
  switch (kind) {
    case ExternKind::kFunction:
      return "function";
    case ExternKind::kTable:
      return "table";
    case ExternKind::kMemory:
      return "memory";
    case ExternKind::kGlobal:
      return "global";
    case ExternKind::kTag:
      break;
  }
  return "tag";
}

std::string import_problem(const ModuleInfo& info, const ModuleImport& import) {
  const std::string what = std::string("imports the ") + to_string(import.kind) + " " +
                           printable(import.module, 64) + "." + printable(import.name, 128);
  if (import.kind != ExternKind::kFunction) {
    if (import.kind == ExternKind::kMemory && import.name != "__linear_memory") {
      return what +
             ", but mod_wasm gives a module no memory from outside: build it without "
             "--import-memory and without threads";
    }
    return what + ", which is not there: " + origin_of(import);
  }
  const wasi::HostFunction* host = wasi::find_host_function(import.module, import.name);
  if (host == nullptr) return what + ", which is not there: " + origin_of(import);
  const std::optional<FunctionType> type = info.function_type(import.index);
  const HostType offered(*host);
  if (!type || offered.matches(*type)) return {};
  return what + " as " + printable(to_string(type), 128) + ", which is " +
         list(offered.parameters) + " -> " + list(offered.results);
}

Status check_module(const ModuleInfo& info, std::string_view entry_point) {
  std::string first;
  size_t more = 0;
  for (const ModuleImport& import : info.imports()) {
    std::string problem = import_problem(info, import);
    if (problem.empty()) continue;
    if (first.empty()) {
      first = std::move(problem);
    } else {
      ++more;
    }
  }
  if (more != 0) {
    first += " (and " + std::to_string(more) + " more such import" + (more == 1 ? ")" : "s)");
  }
  if (!first.empty()) return Status::invalid(first);

  const std::string name = printable(entry_point, 128);
  const ModuleExport* entry = info.find_export(entry_point);
  if (entry != nullptr) {
    if (entry->kind != ExternKind::kFunction) {
      return Status::invalid("exports \"" + name + "\" as a " + to_string(entry->kind) +
                             "; a function is needed to start at");
    }
    const std::optional<FunctionType> type = info.function_type(entry->index);
    if (type && !(type->parameters.empty() && type->results.empty())) {
      return Status::invalid("exports \"" + name + "\" as " + printable(to_string(type), 128) +
                             "; to start there it must have no parameters and no results");
    }
    return Status::ok();
  }
  std::string others;
  int listed = 0;
  for (const ModuleExport& item : info.exports()) {
    if (item.kind != ExternKind::kFunction || listed == 5) continue;
    const std::optional<FunctionType> type = info.function_type(item.index);
    if (!type || !type->parameters.empty() || !type->results.empty()) continue;
    others += (listed++ == 0 ? "" : ", ") + printable(item.name, 64);
  }
  return Status::not_found(
      "exports no function \"" + name + "\" to start at" +
      (others.empty() ? "; it is a library, not a command" : "; it could start at: " + others));
}

Result<UniqueFd> open_module_file(const std::string& path) {
  const std::string name = printable(path);
  // Not blocking, since opening a FIFO would wait for its writer.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) {
    const int error = errno;
    const std::string message = name + ": " + std::strerror(error);
    if (error == ENOENT || error == ENOTDIR) return Status::not_found(message);
    return Status::io(message);
  }
  struct stat file {};
  if (fstat(fd.get(), &file) != 0) return Status::io(name + ": " + std::strerror(errno));
  if (S_ISDIR(file.st_mode)) return Status::invalid(name + " is a directory");
  if (!S_ISREG(file.st_mode)) return Status::invalid(name + " is not a regular file");
  return fd;
}

}  // namespace wasmrt
