// SPDX-License-Identifier: Apache-2.0
// host_bench MODULE CACHE WASMCTL RUNS: time of one run of a command through
// libwasm_runtime, on one thread, without a server around it.
#include <cstdlib>
#include <vector>

#include "cgi_environment.h"
#include "timed_runs.h"
#include "wasm_runtime.h"

namespace {

int64_t read_nothing(void*, void*, size_t, uint32_t) { return 0; }
int count(void* baton, const void*, size_t length) {
  *static_cast<size_t*>(baton) += length;
  return 0;
}
int flush(void*) { return 0; }
void ignore(void*, const void*, size_t) {}
int go_on(void*) { return 0; }
size_t cgi_environment(void*, const wasmrt_variable** variables) {
  static const std::vector<wasmrt_variable> all = [] {
    std::vector<wasmrt_variable> made;
    for (const auto& [name, value] : kCgiEnvironment) made.push_back({name, value});
    return made;
  }();
  *variables = all.data();
  return all.size();
}

int fail(const wasmrt_error& error) {
  std::fprintf(stderr, "host_bench: %s\n", error.message);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "host_bench MODULE CACHE WASMCTL RUNS\n");
    return 2;
  }
  wasmrt_error error;
  wasmrt_cache_config cache{};
  cache.size = sizeof cache;
  cache.directory = argv[2];
  cache.compiler = argv[3];
  cache.compiler_uid = cache.compiler_gid = -1;
  cache.layout = WASMRT_LAYOUT_RESERVED;
  wasmrt_image* image = nullptr;
  if (wasmrt_image_prepare(&cache, argv[1], &image, &error) != WASMRT_OK) return fail(error);

  wasmrt_engine_config engine_config{};
  engine_config.size = sizeof engine_config;
  engine_config.layout = WASMRT_LAYOUT_RESERVED;
  wasmrt_engine* engine = nullptr;
  if (wasmrt_engine_create(&engine_config, &engine, &error) != WASMRT_OK) return fail(error);
  wasmrt_module* module = nullptr;
  if (wasmrt_module_load(engine, image, &module, &error) != WASMRT_OK) return fail(error);

  const char* arguments[] = {"hello", nullptr};
  wasmrt_command_config command_config{};
  command_config.size = sizeof command_config;
  command_config.arguments = arguments;
  wasmrt_command* command = nullptr;
  if (wasmrt_command_create(module, &command_config, &command, &error) != WASMRT_OK) {
    return fail(error);
  }

  wasmrt_streams streams{};
  streams.size = sizeof streams;
  streams.descriptors[0] = streams.descriptors[1] = streams.descriptors[2] = -1;
  streams.read = read_nothing;
  streams.write = count;
  streams.flush = flush;
  streams.write_error = ignore;
  streams.aborted = go_on;
  streams.environment = cgi_environment;

  const int status = print_time_of(std::atoi(argv[4]), [&] {
    size_t written = 0;
    wasmrt_result result{};
    result.size = sizeof result;
    if (wasmrt_run(command, &streams, &written, &result) != WASMRT_OK ||
        result.outcome != WASMRT_EXITED || written == 0) {
      std::fprintf(stderr, "host_bench: the run failed: %s\n", result.message);
      return false;
    }
    return true;
  });
  wasmrt_command_release(command);
  wasmrt_module_release(module);
  wasmrt_image_release(image);
  wasmrt_engine_destroy(engine);
  return status;
}
