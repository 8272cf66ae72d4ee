// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/status.h"
#include "support/unique_fd.h"

namespace wasmrt {

/// Value types by their code in the binary format; all reference types but the
/// two of WebAssembly 2.0 are kReference.
enum class ValType : uint8_t {
  kI32 = 0x7f,
  kI64 = 0x7e,
  kF32 = 0x7d,
  kF64 = 0x7c,
  kV128 = 0x7b,
  kFuncref = 0x70,
  kExternref = 0x6f,
  kReference = 0x64,
};

/// A function type. Points into the ModuleInfo it came from.
struct FunctionType {
  std::span<const ValType> parameters;
  std::span<const ValType> results;
};

/// Bounds in pages; a page is 64 KiB unless the module chose another size.
struct MemoryType {
  uint64_t minimum = 0;
  std::optional<uint64_t> maximum;
};

enum class ExternKind : uint8_t { kFunction = 0, kTable, kMemory, kGlobal, kTag };

struct ModuleImport {
  std::string module;
  std::string name;
  ExternKind kind = ExternKind::kFunction;
  uint32_t index = 0;  ///< in the index space of its kind
};

struct ModuleExport {
  std::string name;
  ExternKind kind = ExternKind::kFunction;
  uint32_t index = 0;
};

/// The outer structure of a module file: what it imports and exports.
///
/// Why this exists beside the engine: a server checks its modules where it
/// reads its configuration, in a process that forks later and so may not
/// create an engine, and Wasmtime's C API tells a module's imports only after
/// compiling it, which takes seconds. Only the frames of the sections and the
/// five small sections that imports and exports need are read; validation is
/// the compiler's. Any bytes may come in. Type forms that are not known here
/// (recursion groups, structures and the like) end the reading of types; what
/// refers to them is then of unknown type, which is no error.
class ModuleInfo {
 public:
  /// Reads until the end or the first error; what was read before an error
  /// stays. A message says at which byte the file is wrong. `fd` is a regular
  /// file; its position is not used.
  Status read(int fd);
  Status read(std::span<const uint8_t> bytes);

  [[nodiscard]] const std::vector<ModuleImport>& imports() const { return imports_; }
  [[nodiscard]] const std::vector<ModuleExport>& exports() const { return exports_; }
  [[nodiscard]] uint64_t file_bytes() const { return file_bytes_; }

  /// nullptr if there is none of that name.
  [[nodiscard]] const ModuleExport* find_export(std::string_view name) const;

  /// By function index, imported functions first. Nothing if it is not known.
  [[nodiscard]] std::optional<FunctionType> function_type(uint32_t function) const;
  [[nodiscard]] std::optional<MemoryType> memory_type(uint32_t memory) const;

 private:
  friend class ModuleReader;

  /// A function type's place in type_codes_.
  struct TypeSlot {
    uint32_t start;
    uint16_t parameters;
    uint16_t results;
  };

  uint64_t file_bytes_ = 0;
  std::vector<ValType> type_codes_;
  std::vector<TypeSlot> types_;
  std::vector<uint32_t> functions_;  ///< type of each, imported ones first
  std::vector<MemoryType> memories_;
  std::vector<ModuleImport> imports_;
  std::vector<ModuleExport> exports_;
};

/// "(i32, i64) -> (i32)", or "(unknown)".
std::string to_string(const std::optional<FunctionType>& type);
/// "17 pages" or "17 to 64 pages", or "" if it is not known.
std::string to_string(const std::optional<MemoryType>& type);
/// "function", "table", ...
const char* to_string(ExternKind kind);

/// What is wrong with an import: a sentence that starts with "imports" and
/// needs the file's name before it. Empty if this library offers the import.
std::string import_problem(const ModuleInfo& info, const ModuleImport& import);

/// Whether the module can run: all imports are offered, and `entry_point` is
/// an exported function without parameters and results.
Status check_module(const ModuleInfo& info, std::string_view entry_point);

/// Opens a module file for reading. @return NotFound, Io, or Invalid if it is
/// no regular file; the message names the path.
Result<UniqueFd> open_module_file(const std::string& path);

}  // namespace wasmrt
