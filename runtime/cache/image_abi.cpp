// SPDX-License-Identifier: Apache-2.0
//
// The part of the public ABI that makes and describes images.
#include "cache/image_handle.h"
#include "cache/start_request.h"
#include "support/abi.h"
#include "wasm_runtime.h"

extern "C" wasmrt_status wasmrt_image_prepare(const wasmrt_cache_config* config, const char* path,
                                              wasmrt_image** image, wasmrt_error* error) {
  wasmrt::Result<wasmrt::Image> made =
      wasmrt::Image::prepare(wasmrt::from_caller<wasmrt_cache_config>(config), path);
  if (!made.is_ok()) return wasmrt::report(made.status(), error);
  *image = new wasmrt_image{made.take()};
  return WASMRT_OK;
}

extern "C" wasmrt_status wasmrt_start_image_prepare(const wasmrt_cache_config* config,
                                                    const char* path,
                                                    const wasmrt_command_config* command,
                                                    uint32_t max_age, wasmrt_image** image,
                                                    wasmrt_error* error) {
  const wasmrt_command_config ours = wasmrt::from_caller<wasmrt_command_config>(command);
  wasmrt::Result<wasmrt::Image> made = wasmrt::Image::prepare_started(
      wasmrt::from_caller<wasmrt_cache_config>(config), path, wasmrt::StartRequest(ours, max_age));
  if (!made.is_ok()) return wasmrt::report(made.status(), error);
  *image = new wasmrt_image{made.take()};
  return WASMRT_OK;
}

extern "C" void wasmrt_image_describe(const wasmrt_image* image, wasmrt_image_info* info) {
  const wasmrt::Image& ours = image->image;
  wasmrt_image_info filled{};
  filled.path = ours.path().c_str();
  filled.key = ours.key().c_str();
  filled.module_bytes = ours.module_bytes();
  filled.image_bytes = ours.image_bytes();
  filled.cached = ours.cached() ? 1 : 0;
  filled.on_disk = ours.on_disk() ? 1 : 0;
  filled.compile_seconds = ours.compile_seconds();
  wasmrt::to_caller(filled, info);
}

extern "C" void wasmrt_image_release(wasmrt_image* image) { delete image; }
