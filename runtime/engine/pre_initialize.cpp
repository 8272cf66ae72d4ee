// SPDX-License-Identifier: Apache-2.0
#include "engine/pre_initialize.h"

#include <linux/limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <limits>

#include "engine/command.h"
#include "engine/host_call.h"
#include "engine/settings.h"
#include "engine/wasmtime_bridge.h"
#include "engine/wasmtime_handles.h"
#include "wasi/context.h"
#include "wasi/fd_table.h"

namespace wasmrt {
namespace {

using wasi::StreamResult;

constexpr const char* kDefaultInit = "wizer-initialize";
constexpr size_t kKeptOutput = 600;
constexpr size_t kOutputText = 800;

int64_t nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

OpenedFile describe(const struct stat& info, std::string path) {
  return {.path = std::move(path),
          .device = info.st_dev,
          .inode = info.st_ino,
          .bytes = static_cast<uint64_t>(info.st_size),
          .modified_ns = nanoseconds(info.st_mtim),
          .changed_ns = nanoseconds(info.st_ctim)};
}

/// The world of an init function: no input, output for people only, no
/// deadline but that of the process.
class InitHost final : public wasi::Host {
 public:
  explicit InitHost(const wasi::StringBlock& environment) : environment_(environment) {}

  const wasi::StringBlock& environment() override { return environment_; }
  StreamResult read_stdin(std::span<uint8_t> /*buffer*/) override { return {}; }
  StreamResult write_stdout(std::span<const uint8_t> bytes) override { return keep(bytes); }
  StreamResult write_stderr(std::span<const uint8_t> bytes) override { return keep(bytes); }
  StreamResult flush_stdout() override { return {}; }
  wasi::StreamInfo stream_info(int /*fd*/) const override { return {}; }
  wasi::Stop check() override { return wasi::Stop::kNone; }
  int64_t deadline_ns() const override { return std::numeric_limits<int64_t>::max(); }
  void opened(int descriptor) override {
    if (auto file = OpenedFile::of(descriptor)) files_.push_back(std::move(*file));
  }

  [[nodiscard]] std::span<const OpenedFile> files() const { return files_; }
  /// The last it wrote, as one line.
  [[nodiscard]] std::string output() const { return one_line(output_, kOutputText); }
  /// The end of a message about a failure.
  [[nodiscard]] std::string appendix() const {
    return output_.empty() ? "" : "; it wrote: " + output();
  }

 private:
  StreamResult keep(std::span<const uint8_t> bytes) {
    output_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (output_.size() > kKeptOutput) output_.erase(0, output_.size() - kKeptOutput);
    return {.bytes = bytes.size()};
  }

  const wasi::StringBlock& environment_;
  std::string output_;
  std::vector<OpenedFile> files_;
};

void append_leb(std::vector<uint8_t>& out, uint64_t value) {
  do {
    const uint8_t low = value & 0x7f;
    value >>= 7;
    out.push_back(value == 0 ? low : low | 0x80);
  } while (value != 0);
}

void append_custom_section(std::vector<uint8_t>& module, std::string_view name,
                           std::string_view content) {
  std::vector<uint8_t> body;
  append_leb(body, name.size());
  body.insert(body.end(), name.begin(), name.end());
  body.insert(body.end(), content.begin(), content.end());
  module.push_back(0);
  append_leb(module, body.size());
  module.insert(module.end(), body.begin(), body.end());
}

/// One initialisation; wizer calls it back.
class Initialization {
 public:
  Initialization(const CommandData& command, std::string init)
      : init_(std::move(init)),
        memory_bytes_(command.limits.memory_bytes),
        host_(command.environment),
        context_({.arguments = &command.arguments,
                  .preopens = command.preopens,
                  .max_descriptors = command.limits.max_descriptors},
                 host_) {}

  Result<PreInitialized> run(std::span<const uint8_t> wasm) {
    if constexpr (WASMRT_HAS_BRIDGE) {
      const wizer_callbacks_t callbacks = {this, on_run, on_global, on_memory, on_done, on_failed};
      const auto* init = reinterpret_cast<const uint8_t*>(init_.data());
      if (!wizer_pre_initialize(wasm.data(), wasm.size(), init, init_.size(), &callbacks)) {
        return status_;
      }
    } else {
      return Status::invalid(
          "this libwasm_runtime was built with an installed Wasmtime (WASMTIME_ROOT), which cannot "
          "make start images");
    }
    append_custom_section(module_, kFilesSection, files_text(host_.files()));
    return PreInitialized{.module = std::move(module_), .output = host_.output()};
  }

 private:
  static Initialization& self(void* baton) { return *static_cast<Initialization*>(baton); }

  static bool on_run(void* baton, const uint8_t* wasm, size_t size) noexcept {
    Initialization& it = self(baton);
    it.status_ = it.initialize({wasm, size});
    return it.status_.is_ok();
  }

  static void on_global(void* baton, const uint8_t* name, size_t length,
                        uint8_t (*value)[16]) noexcept {
    Initialization& it = self(baton);
    wasmtime_extern_t item;
    if (!it.find(name, length, item)) return;
    wasmtime_val_t raw;
    wasmtime_global_get(it.store_context_, &item.of.global, &raw);
    std::memcpy(*value, &raw.of, raw.kind == WASMTIME_V128 ? 16 : 8);
  }

  static void on_memory(void* baton, const uint8_t* name, size_t length, const uint8_t** bytes,
                        size_t* size) noexcept {
    Initialization& it = self(baton);
    wasmtime_extern_t item;
    if (!it.find(name, length, item)) return;
    *bytes = wasmtime_memory_data(it.store_context_, &item.of.memory);
    *size = wasmtime_memory_data_size(it.store_context_, &item.of.memory);
  }

  static void on_done(void* baton, const uint8_t* module, size_t size) noexcept {
    self(baton).module_.assign(module, module + size);
  }

  static void on_failed(void* baton, const uint8_t* message, size_t length) noexcept {
    self(baton).status_ =
        Status::invalid("no start image can be made of it: " +
                        printable({reinterpret_cast<const char*>(message), length}));
  }

  bool find(const uint8_t* name, size_t length, wasmtime_extern_t& item) {
    return wasmtime_instance_export_get(store_context_, &instance_,
                                        reinterpret_cast<const char*>(name), length, &item);
  }

  Status failed(const wasmtime_error_t* error, wasm_trap_t* trap) const {
    std::string text;
    if (error != nullptr) {
      text = error_text(error);
    } else {
      wasm_message_t message;
      wasm_trap_message(trap, &message);
      text = printable({message.data, message.size > 0 ? message.size - 1 : 0});
      wasm_byte_vec_delete(&message);
    }
    return Status::invalid("its " + printable(init_) + " failed: " + text + host_.appendix());
  }

  Status initialize(std::span<const uint8_t> wasm) {
    ConfigHandle config = new_config(WASMRT_LAYOUT_COMPACT);
    wasmtime_config_parallel_compilation_set(config.get(), true);
    engine_.reset(wasm_engine_new_with_config(config.release()));
    const LinkerHandle linker(wasmtime_linker_new(engine_.get()));
    if (Status status = define_host_functions(linker.get()); !status.is_ok()) return status;

    wasmtime_module_t* raw_module = nullptr;
    if (const ErrorHandle error{
            wasmtime_module_new(engine_.get(), wasm.data(), wasm.size(), &raw_module)}) {
      return Status::invalid("not a module that the engine accepts: " + error_text(error.get()));
    }
    const ModuleHandle module(raw_module);

    store_.reset(wasmtime_store_new(engine_.get(), &guest_, nullptr));
    store_context_ = wasmtime_store_context(store_.get());
    wasmtime_store_limiter(store_.get(), static_cast<int64_t>(memory_bytes_), -1, -1, -1, -1);
    // Nothing interrupts it here: whoever started this process ends it.
    const uint32_t before = context_.fds().open_count();
    wasm_trap_t* trap = nullptr;
    const ErrorHandle error(
        wasmtime_linker_instantiate(linker.get(), store_context_, module.get(), &instance_, &trap));
    if (const TrapHandle owned(trap); error || owned) return failed(error.get(), trap);

    wasmtime_extern_t item;
    if (wasmtime_instance_export_get(store_context_, &instance_, "memory", 6, &item) &&
        item.kind == WASMTIME_EXTERN_MEMORY) {
      guest_.memory = item.of.memory;
      guest_.has_memory = true;
    }
    if (!wasmtime_instance_export_get(store_context_, &instance_, init_.data(), init_.size(),
                                      &item) ||
        item.kind != WASMTIME_EXTERN_FUNC) {
      return Status::not_found("it exports no function \"" + printable(init_) +
                               "\", by which a start image would be made");
    }
    const FuncTypeHandle type(wasmtime_func_type(store_context_, &item.of.func));
    if (wasm_functype_params(type.get())->size != 0 ||
        wasm_functype_results(type.get())->size != 0) {
      return Status::invalid("its \"" + printable(init_) +
                             "\" is not a function without parameters and results");
    }
    const ErrorHandle call_error(
        wasmtime_func_call_unchecked(store_context_, &item.of.func, nullptr, 0, &trap));
    const TrapHandle call_trap(trap);
    if (context_.stop() == wasi::Stop::kExit) {
      return Status::invalid("its " + printable(init_) + " did not return but exited with status " +
                             std::to_string(context_.exit_status()) + host_.appendix());
    }
    if (call_error || call_trap) return failed(call_error.get(), trap);
    if (const uint32_t left = context_.fds().open_count() - before; left != 0) {
      return Status::invalid("its " + printable(init_) + " left " + std::to_string(left) +
                             " files open, which a start image cannot hold");
    }
    return Status::ok();
  }

  std::string init_;
  uint64_t memory_bytes_;
  InitHost host_;
  wasi::Context context_;
  GuestState guest_{.wasi = &context_};
  EngineHandle engine_;
  StoreHandle store_;
  wasmtime_context_t* store_context_ = nullptr;
  wasmtime_instance_t instance_{};
  std::vector<uint8_t> module_;
  Status status_ = Status::ok();
};

}  // namespace

bool OpenedFile::is_current() const {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return false;
  const OpenedFile now = describe(info, path);
  return now.device == device && now.inode == inode && now.bytes == bytes &&
         now.modified_ns == modified_ns && now.changed_ns == changed_ns;
}

std::optional<OpenedFile> OpenedFile::of(int descriptor) {
  struct stat info {};
  char path[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = readlink(link.c_str(), path, sizeof path);
  if (length <= 0 || length == sizeof path || path[0] != '/' || fstat(descriptor, &info) != 0) {
    return std::nullopt;
  }
  return describe(info, std::string(path, static_cast<size_t>(length)));
}

std::string files_text(std::span<const OpenedFile> files) {
  std::string text;
  for (const OpenedFile& file : files) {
    char numbers[128];
    std::snprintf(numbers, sizeof numbers,
                  "%" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " ", file.device,
                  file.inode, file.bytes, file.modified_ns, file.changed_ns);
    text += numbers;
    text += file.path;
    text.push_back('\0');
  }
  return text;
}

Result<std::vector<OpenedFile>> parse_files(std::string_view text) {
  const Status bad = Status::invalid("the list of files of a start image is damaged");
  std::vector<OpenedFile> files;
  while (!text.empty()) {
    const size_t end = text.find('\0');
    if (end == std::string_view::npos) return bad;
    const std::string record(text.substr(0, end));
    text.remove_prefix(end + 1);
    OpenedFile file;
    uint64_t modified = 0;
    uint64_t changed = 0;
    int path_at = 0;
    if (std::sscanf(record.c_str(),
                    "%" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %n", &file.device,
                    &file.inode, &file.bytes, &modified, &changed, &path_at) != 5 ||
        path_at == 0 || record[path_at] != '/') {
      return bad;
    }
    file.modified_ns = static_cast<int64_t>(modified);
    file.changed_ns = static_cast<int64_t>(changed);
    file.path = record.substr(path_at);
    files.push_back(std::move(file));
  }
  return files;
}

Result<std::vector<OpenedFile>> opened_files(std::span<const uint8_t> wasm) {
  const auto read_leb = [&wasm](size_t& at) {
    uint64_t value = 0;
    for (unsigned shift = 0; at < wasm.size() && shift < 35; shift += 7) {
      const uint8_t byte = wasm[at++];
      value |= uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  };
  size_t at = 8;
  while (at < wasm.size()) {
    const uint8_t id = wasm[at++];
    const uint64_t size = read_leb(at);
    if (size > wasm.size() - at) break;
    const size_t end = at + size;
    if (id == 0) {
      size_t name_at = at;
      const uint64_t length = read_leb(name_at);
      if (name_at <= end && length <= end - name_at) {
        const auto* text = reinterpret_cast<const char*>(wasm.data());
        if (std::string_view(text + name_at, length) == kFilesSection) {
          return parse_files({text + name_at + length, end - name_at - length});
        }
      }
    }
    at = end;
  }
  return Status::invalid("the module lists no files: it is not a start image");
}

Result<PreInitialized> pre_initialize(std::span<const uint8_t> wasm,
                                      const wasmrt_command_config& command) {
  Result<CommandData> data = CommandData::from(command);
  if (!data.is_ok()) return data.status();
  Initialization it(data.value(),
                    command.entry_point == nullptr ? kDefaultInit : command.entry_point);
  return it.run(wasm);
}

}  // namespace wasmrt
