// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cache/image.h"

/// What the C ABI's wasmrt_image is.
struct wasmrt_image {
  wasmrt::Image image;
};
