// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include "wasi/types.h"

namespace wasmrt::wasi {

/// All that a guest may see and change of a file's mode, but for directories with `exec`.
inline constexpr mode_t kPermissions = S_IRWXU | S_IRWXG | S_IRWXO;
inline constexpr mode_t kModeBits = kPermissions | S_ISUID | S_ISGID | S_ISVTX;

FileType file_type(mode_t mode);

/// Times before 1970 become 0, times past 2554 the last that fits.
Filestat filestat_of(const struct stat& status);

/// The same in the layout of wasi_unstable.
UnstableFilestat to_unstable(const Filestat& filestat);

/// The same with what preview 1 leaves out.
/// @param exec  with set-user-ID, set-group-ID and sticky bits
Status status_of(const struct stat& status, bool exec);

/// chmod of what `status` tells of. Without `exec` it only gives and takes the permissions 0777,
/// and leaves out the rest: a file never becomes executable, but may stay so; the other
/// bits of a directory stay as they are.
/// @param fd    may be only a place (O_PATH)
/// @param mode  up to kModeBits
Errno change_mode(int fd, const struct stat& status, mode_t mode, bool exec);

/// Whether the process may do with a file what `mode` says, as access(2) with its effective user.
/// @param fd  may be only a place (O_PATH)
Errno check_access(int fd, int mode);

/// A time of preview 1.
timespec timespec_of(uint64_t nanoseconds);

/// The times for utimensat that a guest asked for.
/// @return kInval for unknown flags, or a time that shall be both set and now.
Errno times_from(const timespec& atim, const timespec& mtim, uint32_t flags, timespec times[2]);

}  // namespace wasmrt::wasi
