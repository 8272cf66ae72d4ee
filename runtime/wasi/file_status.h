// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include "wasi/types.h"

namespace wasmrt::wasi {

FileType file_type(mode_t mode);

/// Times before 1970 become 0, times past 2554 the last that fits.
Filestat filestat_of(const struct stat& status);

/// The same in the layout of wasi_unstable.
UnstableFilestat to_unstable(const Filestat& filestat);

/// The times for utimensat that a guest asked for.
/// @return kInval for unknown flags, or a time that shall be both set and now.
Errno times_from(uint64_t atim, uint64_t mtim, uint32_t flags, timespec times[2]);

}  // namespace wasmrt::wasi
