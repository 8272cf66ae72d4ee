// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

// The types of WASI preview 1 as they lie in linear memory, by the witx files
// of wasi_snapshot_preview1 and of the older wasi_unstable.

namespace wasmrt::wasi {

enum class Errno : uint16_t {
  kSuccess = 0,
  kTooBig = 1,
  kAcces = 2,
  kAddrinuse = 3,
  kAddrnotavail = 4,
  kAfnosupport = 5,
  kAgain = 6,
  kAlready = 7,
  kBadf = 8,
  kBadmsg = 9,
  kBusy = 10,
  kCanceled = 11,
  kChild = 12,
  kConnaborted = 13,
  kConnrefused = 14,
  kConnreset = 15,
  kDeadlk = 16,
  kDestaddrreq = 17,
  kDom = 18,
  kDquot = 19,
  kExist = 20,
  kFault = 21,
  kFbig = 22,
  kHostunreach = 23,
  kIdrm = 24,
  kIlseq = 25,
  kInprogress = 26,
  kIntr = 27,
  kInval = 28,
  kIo = 29,
  kIsconn = 30,
  kIsdir = 31,
  kLoop = 32,
  kMfile = 33,
  kMlink = 34,
  kMsgsize = 35,
  kMultihop = 36,
  kNametoolong = 37,
  kNetdown = 38,
  kNetreset = 39,
  kNetunreach = 40,
  kNfile = 41,
  kNobufs = 42,
  kNodev = 43,
  kNoent = 44,
  kNoexec = 45,
  kNolck = 46,
  kNolink = 47,
  kNomem = 48,
  kNomsg = 49,
  kNoprotoopt = 50,
  kNospc = 51,
  kNosys = 52,
  kNotconn = 53,
  kNotdir = 54,
  kNotempty = 55,
  kNotrecoverable = 56,
  kNotsock = 57,
  kNotsup = 58,
  kNotty = 59,
  kNxio = 60,
  kOverflow = 61,
  kOwnerdead = 62,
  kPerm = 63,
  kPipe = 64,
  kProto = 65,
  kProtonosupport = 66,
  kPrototype = 67,
  kRange = 68,
  kRofs = 69,
  kSpipe = 70,
  kSrch = 71,
  kStale = 72,
  kTimedout = 73,
  kTxtbsy = 74,
  kXdev = 75,
  kNotcapable = 76,
};

/// The preview 1 errno for a value of the host's errno.
Errno errno_from_host(int error);

enum class ClockId : uint32_t {
  kRealtime = 0,
  kMonotonic = 1,
  kProcessCpu = 2,
  kThreadCpu = 3,
};

enum class FileType : uint8_t {
  kUnknown = 0,
  kBlockDevice = 1,
  kCharacterDevice = 2,
  kDirectory = 3,
  kRegularFile = 4,
  kSocketDatagram = 5,
  kSocketStream = 6,
  kSymbolicLink = 7,
};

enum class EventType : uint8_t { kClock = 0, kFdRead = 1, kFdWrite = 2 };

/// Bits of fdflags.
namespace fdflags {
inline constexpr uint32_t kAppend = 1 << 0;
inline constexpr uint32_t kDsync = 1 << 1;
inline constexpr uint32_t kNonblock = 1 << 2;
inline constexpr uint32_t kRsync = 1 << 3;
inline constexpr uint32_t kSync = 1 << 4;
inline constexpr uint32_t kAll = (1 << 5) - 1;
}  // namespace fdflags

/// Bits of oflags.
namespace oflags {
inline constexpr uint32_t kCreate = 1 << 0;
inline constexpr uint32_t kDirectory = 1 << 1;
inline constexpr uint32_t kExclusive = 1 << 2;
inline constexpr uint32_t kTruncate = 1 << 3;
inline constexpr uint32_t kAll = (1 << 4) - 1;
}  // namespace oflags

/// Bits of lookupflags.
namespace lookupflags {
inline constexpr uint32_t kSymlinkFollow = 1 << 0;
inline constexpr uint32_t kAll = 1;
}  // namespace lookupflags

/// Bits of fstflags.
namespace fstflags {
inline constexpr uint32_t kAtime = 1 << 0;
inline constexpr uint32_t kAtimeNow = 1 << 1;
inline constexpr uint32_t kMtime = 1 << 2;
inline constexpr uint32_t kMtimeNow = 1 << 3;
inline constexpr uint32_t kAll = (1 << 4) - 1;
}  // namespace fstflags

/// Bits of rights.
namespace rights {
inline constexpr uint64_t kFdDatasync = 1 << 0;
inline constexpr uint64_t kFdRead = 1 << 1;
inline constexpr uint64_t kFdSeek = 1 << 2;
inline constexpr uint64_t kFdFdstatSetFlags = 1 << 3;
inline constexpr uint64_t kFdSync = 1 << 4;
inline constexpr uint64_t kFdTell = 1 << 5;
inline constexpr uint64_t kFdWrite = 1 << 6;
inline constexpr uint64_t kFdAdvise = 1 << 7;
inline constexpr uint64_t kFdAllocate = 1 << 8;
inline constexpr uint64_t kPathCreateDirectory = 1 << 9;
inline constexpr uint64_t kPathCreateFile = 1 << 10;
inline constexpr uint64_t kPathLinkSource = 1 << 11;
inline constexpr uint64_t kPathLinkTarget = 1 << 12;
inline constexpr uint64_t kPathOpen = 1 << 13;
inline constexpr uint64_t kFdReaddir = 1 << 14;
inline constexpr uint64_t kPathReadlink = 1 << 15;
inline constexpr uint64_t kPathRenameSource = 1 << 16;
inline constexpr uint64_t kPathRenameTarget = 1 << 17;
inline constexpr uint64_t kPathFilestatGet = 1 << 18;
inline constexpr uint64_t kPathFilestatSetSize = 1 << 19;
inline constexpr uint64_t kPathFilestatSetTimes = 1 << 20;
inline constexpr uint64_t kFdFilestatGet = 1 << 21;
inline constexpr uint64_t kFdFilestatSetSize = 1 << 22;
inline constexpr uint64_t kFdFilestatSetTimes = 1 << 23;
inline constexpr uint64_t kPathSymlink = 1 << 24;
inline constexpr uint64_t kPathRemoveDirectory = 1 << 25;
inline constexpr uint64_t kPathUnlinkFile = 1 << 26;
inline constexpr uint64_t kPollFdReadwrite = 1 << 27;
inline constexpr uint64_t kSockShutdown = 1 << 28;
inline constexpr uint64_t kSockAccept = 1 << 29;
inline constexpr uint64_t kAll = (1 << 30) - 1;
}  // namespace rights

inline constexpr uint16_t kClockAbsolute = 1 << 0;  ///< subclockflags
inline constexpr uint16_t kEventHangup = 1 << 0;    ///< eventrwflags
inline constexpr uint32_t kAdviceLast = 5;          ///< advice: noreuse
inline constexpr uint32_t kSignalLast = 30;         ///< signal: sys

/// iovec and ciovec.
struct Iovec {
  uint32_t buf;
  uint32_t buf_len;
};
static_assert(sizeof(Iovec) == 8);

struct Fdstat {
  FileType fs_filetype;
  uint8_t pad0 = 0;
  uint16_t fs_flags;
  uint32_t pad1 = 0;
  uint64_t fs_rights_base;
  uint64_t fs_rights_inheriting;
};
static_assert(sizeof(Fdstat) == 24 && offsetof(Fdstat, fs_flags) == 2 &&
              offsetof(Fdstat, fs_rights_base) == 8 &&
              offsetof(Fdstat, fs_rights_inheriting) == 16);

struct Filestat {
  uint64_t dev;
  uint64_t ino;
  FileType filetype;
  uint8_t pad[7] = {};
  uint64_t nlink;
  uint64_t size;
  uint64_t atim;  ///< nanoseconds since 1970
  uint64_t mtim;
  uint64_t ctim;
};
static_assert(sizeof(Filestat) == 64 && offsetof(Filestat, filetype) == 16 &&
              offsetof(Filestat, nlink) == 24 && offsetof(Filestat, size) == 32 &&
              offsetof(Filestat, ctim) == 56);

/// A time of module "mod_wasm", before 1970 as well.
struct Time {
  int64_t seconds;
  uint32_t nanoseconds;
  uint32_t pad = 0;
};
static_assert(sizeof(Time) == 16 && offsetof(Time, nanoseconds) == 8);

/// What path_stat and fd_stat of module "mod_wasm" give: all that stat(2) tells, less the owner.
struct Status {
  uint64_t dev;
  uint64_t ino;
  uint64_t nlink;
  uint64_t size;
  uint64_t blocks;  ///< of 512 bytes
  Time atim;
  Time mtim;
  Time ctim;
  uint32_t mode;  ///< type and permissions as in Linux, 0170777 of st_mode
  uint32_t pad = 0;
};
static_assert(sizeof(Status) == 96 && offsetof(Status, atim) == 40 && offsetof(Status, mode) == 88);

/// What stack_space of module "mod_wasm" gives, in bytes.
struct StackSpace {
  uint64_t size;
  uint64_t left;
};
static_assert(sizeof(StackSpace) == 16);

/// What path_disk_space of module "mod_wasm" gives.
struct DiskSpace {
  uint64_t block_size;  ///< bytes; the unit of the others
  uint64_t blocks;
  uint64_t free;
  uint64_t available;  ///< to the server's user
};
static_assert(sizeof(DiskSpace) == 32);

/// filestat of wasi_unstable: the link count has 32 bits.
struct UnstableFilestat {
  uint64_t dev;
  uint64_t ino;
  FileType filetype;
  uint8_t pad[3] = {};
  uint32_t nlink;
  uint64_t size;
  uint64_t atim;
  uint64_t mtim;
  uint64_t ctim;
};
static_assert(sizeof(UnstableFilestat) == 56 && offsetof(UnstableFilestat, nlink) == 20 &&
              offsetof(UnstableFilestat, size) == 24 && offsetof(UnstableFilestat, ctim) == 48);

/// The fixed part of a directory entry; d_namlen bytes of name follow it.
struct Dirent {
  uint64_t d_next;
  uint64_t d_ino;
  uint32_t d_namlen;
  FileType d_type;
  uint8_t pad[3] = {};
};
static_assert(sizeof(Dirent) == 24 && offsetof(Dirent, d_namlen) == 16 &&
              offsetof(Dirent, d_type) == 20);

struct Prestat {
  uint32_t tag = 0;  ///< preopentype: dir
  uint32_t name_len;
};
static_assert(sizeof(Prestat) == 8 && offsetof(Prestat, name_len) == 4);

struct Event {
  uint64_t userdata;
  Errno error;
  EventType type;
  uint8_t pad0[5] = {};
  uint64_t nbytes;
  uint16_t flags;
  uint8_t pad1[6] = {};
};
static_assert(sizeof(Event) == 32 && offsetof(Event, error) == 8 && offsetof(Event, type) == 10 &&
              offsetof(Event, nbytes) == 16 && offsetof(Event, flags) == 24);

struct Subscription {
  struct Clock {
    uint32_t id;
    uint32_t pad0;
    uint64_t timeout;    ///< nanoseconds
    uint64_t precision;  ///< nanoseconds
    uint16_t flags;
    uint8_t pad1[6];
  };
  struct FdReadwrite {
    uint32_t fd;
  };
  uint64_t userdata;
  uint8_t tag;
  uint8_t pad[7];
  union {
    Clock clock;
    FdReadwrite fd_readwrite;
  };
};
static_assert(sizeof(Subscription) == 48 && offsetof(Subscription, tag) == 8 &&
              offsetof(Subscription, clock) == 16 && offsetof(Subscription::Clock, timeout) == 8 &&
              offsetof(Subscription::Clock, flags) == 24);

/// subscription of wasi_unstable: the clock starts with an identifier.
struct UnstableSubscription {
  struct Clock {
    uint64_t identifier;
    uint32_t id;
    uint32_t pad0;
    uint64_t timeout;
    uint64_t precision;
    uint16_t flags;
    uint8_t pad1[6];
  };
  using FdReadwrite = Subscription::FdReadwrite;
  uint64_t userdata;
  uint8_t tag;
  uint8_t pad[7];
  union {
    Clock clock;
    FdReadwrite fd_readwrite;
  };
};
static_assert(sizeof(UnstableSubscription) == 56 && offsetof(UnstableSubscription, clock) == 16 &&
              offsetof(UnstableSubscription::Clock, id) == 8 &&
              offsetof(UnstableSubscription::Clock, timeout) == 16 &&
              offsetof(UnstableSubscription::Clock, flags) == 32);

}  // namespace wasmrt::wasi
