// SPDX-License-Identifier: Apache-2.0
#include "wasi/table.h"

#include <array>
#include <type_traits>

#include "wasi/functions.h"

namespace wasmrt::wasi {
namespace {

template <typename T>
constexpr ValueType kValueType = sizeof(T) == 8 ? ValueType::kI64 : ValueType::kI32;

template <typename T>
T argument(const RawValue& value) {
  static_assert(std::is_integral_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  if constexpr (sizeof(T) == 8) {
    return static_cast<T>(value.i64);
  } else {
    return static_cast<T>(value.i32);
  }
}

/// What the engine calls, made from the type of the function behind it.
template <auto kFunction, typename Type = decltype(kFunction)>
struct Adapter;

template <auto kFunction, typename Result, typename... Args>
struct Adapter<kFunction, Result (*)(Context&, GuestMemory, Args...) noexcept> {
  static constexpr std::array<ValueType, sizeof...(Args)> kParameters = {kValueType<Args>...};
  static constexpr bool kHasResult = !std::is_void_v<Result>;

  static void call(Context& context, GuestMemory memory, RawValue* values) noexcept {
    call(context, memory, values, std::index_sequence_for<Args...>());
  }

 private:
  template <size_t... kIndex>
  static void call(Context& context, GuestMemory memory, [[maybe_unused]] RawValue* values,
                   std::index_sequence<kIndex...> /*indices*/) noexcept {
    if constexpr (kHasResult) {
      const Errno result = kFunction(context, memory, argument<Args>(values[kIndex])...);
      values[0].i32 = static_cast<int32_t>(result);
    } else {
      kFunction(context, memory, argument<Args>(values[kIndex])...);
    }
  }
};

constexpr std::string_view kPreview1 = "wasi_snapshot_preview1";
constexpr std::string_view kUnstable = "wasi_unstable";
constexpr std::string_view kOwn = "mod_wasm";

template <auto kFunction>
constexpr HostFunction entry(std::string_view module, std::string_view name) {
  using Function = Adapter<kFunction>;
  return {module, name, Function::kParameters, Function::kHasResult, Function::call};
}

#define WASI_PREVIEW1(name) entry<name>(kPreview1, #name)
#define WASI_BOTH(name) entry<name>(kUnstable, #name)
#define WASI_UNSTABLE(name) entry<unstable::name>(kUnstable, #name)

constexpr std::array kFunctions = {
    WASI_PREVIEW1(args_get),
    WASI_PREVIEW1(args_sizes_get),
    WASI_PREVIEW1(environ_get),
    WASI_PREVIEW1(environ_sizes_get),
    WASI_PREVIEW1(clock_res_get),
    WASI_PREVIEW1(clock_time_get),
    WASI_PREVIEW1(fd_advise),
    WASI_PREVIEW1(fd_allocate),
    WASI_PREVIEW1(fd_close),
    WASI_PREVIEW1(fd_datasync),
    WASI_PREVIEW1(fd_fdstat_get),
    WASI_PREVIEW1(fd_fdstat_set_flags),
    WASI_PREVIEW1(fd_fdstat_set_rights),
    WASI_PREVIEW1(fd_filestat_get),
    WASI_PREVIEW1(fd_filestat_set_size),
    WASI_PREVIEW1(fd_filestat_set_times),
    WASI_PREVIEW1(fd_pread),
    WASI_PREVIEW1(fd_prestat_get),
    WASI_PREVIEW1(fd_prestat_dir_name),
    WASI_PREVIEW1(fd_pwrite),
    WASI_PREVIEW1(fd_read),
    WASI_PREVIEW1(fd_readdir),
    WASI_PREVIEW1(fd_renumber),
    WASI_PREVIEW1(fd_seek),
    WASI_PREVIEW1(fd_sync),
    WASI_PREVIEW1(fd_tell),
    WASI_PREVIEW1(fd_write),
    WASI_PREVIEW1(path_create_directory),
    WASI_PREVIEW1(path_filestat_get),
    WASI_PREVIEW1(path_filestat_set_times),
    WASI_PREVIEW1(path_link),
    WASI_PREVIEW1(path_open),
    WASI_PREVIEW1(path_readlink),
    WASI_PREVIEW1(path_remove_directory),
    WASI_PREVIEW1(path_rename),
    WASI_PREVIEW1(path_symlink),
    WASI_PREVIEW1(path_unlink_file),
    WASI_PREVIEW1(poll_oneoff),
    WASI_PREVIEW1(proc_exit),
    WASI_PREVIEW1(proc_raise),
    WASI_PREVIEW1(sched_yield),
    WASI_PREVIEW1(random_get),
    WASI_PREVIEW1(sock_accept),
    WASI_PREVIEW1(sock_recv),
    WASI_PREVIEW1(sock_send),
    WASI_PREVIEW1(sock_shutdown),

    WASI_BOTH(args_get),
    WASI_BOTH(args_sizes_get),
    WASI_BOTH(environ_get),
    WASI_BOTH(environ_sizes_get),
    WASI_BOTH(clock_res_get),
    WASI_BOTH(clock_time_get),
    WASI_BOTH(fd_advise),
    WASI_BOTH(fd_allocate),
    WASI_BOTH(fd_close),
    WASI_BOTH(fd_datasync),
    WASI_BOTH(fd_fdstat_get),
    WASI_BOTH(fd_fdstat_set_flags),
    WASI_BOTH(fd_fdstat_set_rights),
    WASI_UNSTABLE(fd_filestat_get),
    WASI_BOTH(fd_filestat_set_size),
    WASI_BOTH(fd_filestat_set_times),
    WASI_BOTH(fd_pread),
    WASI_BOTH(fd_prestat_get),
    WASI_BOTH(fd_prestat_dir_name),
    WASI_BOTH(fd_pwrite),
    WASI_BOTH(fd_read),
    WASI_BOTH(fd_readdir),
    WASI_BOTH(fd_renumber),
    WASI_UNSTABLE(fd_seek),
    WASI_BOTH(fd_sync),
    WASI_BOTH(fd_tell),
    WASI_BOTH(fd_write),
    WASI_BOTH(path_create_directory),
    WASI_UNSTABLE(path_filestat_get),
    WASI_BOTH(path_filestat_set_times),
    WASI_BOTH(path_link),
    WASI_BOTH(path_open),
    WASI_BOTH(path_readlink),
    WASI_BOTH(path_remove_directory),
    WASI_BOTH(path_rename),
    WASI_BOTH(path_symlink),
    WASI_BOTH(path_unlink_file),
    WASI_UNSTABLE(poll_oneoff),
    WASI_BOTH(proc_exit),
    WASI_BOTH(proc_raise),
    WASI_BOTH(sched_yield),
    WASI_BOTH(random_get),
    WASI_BOTH(sock_recv),
    WASI_BOTH(sock_send),
    WASI_BOTH(sock_shutdown),

    entry<fd_lock>(kOwn, "fd_lock"),
    entry<file_umask>(kOwn, "umask"),
    entry<fd_stat>(kOwn, "fd_stat"),
    entry<path_stat>(kOwn, "path_stat"),
    entry<path_set_times>(kOwn, "path_set_times"),
    entry<path_access>(kOwn, "path_access"),
    entry<fd_chmod>(kOwn, "fd_chmod"),
    entry<path_chmod>(kOwn, "path_chmod"),
    entry<path_disk_space>(kOwn, "path_disk_space"),
    entry<stack_space>(kOwn, "stack_space"),
};

#undef WASI_PREVIEW1
#undef WASI_BOTH
#undef WASI_UNSTABLE

}  // namespace

std::span<const HostFunction> host_functions() { return kFunctions; }

const HostFunction* find_host_function(std::string_view module, std::string_view name) {
  for (const HostFunction& function : kFunctions) {
    if (function.name == name && function.module == module) return &function;
  }
  return nullptr;
}

}  // namespace wasmrt::wasi
