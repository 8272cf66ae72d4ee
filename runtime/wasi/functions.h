// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "wasi/context.h"
#include "wasi/guest_memory.h"
#include "wasi/types.h"

// The functions of preview 1, named and ordered as in its witx file. Each
// takes the instance's state, its memory and the guest's arguments: integers
// of 32 bits stand for handles, pointers, sizes, enumerations and flags, those
// of 64 bits for the rest. table.cpp makes the wasm signatures from these
// types. All of them are noexcept; what is wrong with an argument is an errno.
//
// A function that stores a result checks the pointer before it does anything
// that could not be undone.

namespace wasmrt::wasi {

Errno args_get(Context& context, GuestMemory memory, GuestPtr argv, GuestPtr argv_buf) noexcept;
Errno args_sizes_get(Context& context, GuestMemory memory, GuestPtr count, GuestPtr size) noexcept;
Errno environ_get(Context& context, GuestMemory memory, GuestPtr environ,
                  GuestPtr environ_buf) noexcept;
Errno environ_sizes_get(Context& context, GuestMemory memory, GuestPtr count,
                        GuestPtr size) noexcept;

Errno clock_res_get(Context& context, GuestMemory memory, uint32_t id,
                    GuestPtr resolution) noexcept;
Errno clock_time_get(Context& context, GuestMemory memory, uint32_t id, uint64_t precision,
                     GuestPtr time) noexcept;

Errno fd_advise(Context& context, GuestMemory memory, uint32_t fd, uint64_t offset, uint64_t len,
                uint32_t advice) noexcept;
Errno fd_allocate(Context& context, GuestMemory memory, uint32_t fd, uint64_t offset,
                  uint64_t len) noexcept;
Errno fd_close(Context& context, GuestMemory memory, uint32_t fd) noexcept;
Errno fd_datasync(Context& context, GuestMemory memory, uint32_t fd) noexcept;
Errno fd_fdstat_get(Context& context, GuestMemory memory, uint32_t fd, GuestPtr fdstat) noexcept;
Errno fd_fdstat_set_flags(Context& context, GuestMemory memory, uint32_t fd,
                          uint32_t flags) noexcept;
Errno fd_fdstat_set_rights(Context& context, GuestMemory memory, uint32_t fd, uint64_t base,
                           uint64_t inheriting) noexcept;
Errno fd_filestat_get(Context& context, GuestMemory memory, uint32_t fd,
                      GuestPtr filestat) noexcept;
Errno fd_filestat_set_size(Context& context, GuestMemory memory, uint32_t fd,
                           uint64_t size) noexcept;
Errno fd_filestat_set_times(Context& context, GuestMemory memory, uint32_t fd, uint64_t atim,
                            uint64_t mtim, uint32_t flags) noexcept;
Errno fd_pread(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
               uint64_t offset, GuestPtr bytes_read) noexcept;
Errno fd_prestat_get(Context& context, GuestMemory memory, uint32_t fd, GuestPtr prestat) noexcept;
Errno fd_prestat_dir_name(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                          GuestSize path_len) noexcept;
Errno fd_pwrite(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
                uint64_t offset, GuestPtr bytes_written) noexcept;
Errno fd_read(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
              GuestPtr bytes_read) noexcept;
Errno fd_readdir(Context& context, GuestMemory memory, uint32_t fd, GuestPtr buf, GuestSize buf_len,
                 uint64_t cookie, GuestPtr used) noexcept;
Errno fd_renumber(Context& context, GuestMemory memory, uint32_t fd, uint32_t to) noexcept;
Errno fd_seek(Context& context, GuestMemory memory, uint32_t fd, int64_t offset, uint32_t whence,
              GuestPtr position) noexcept;
Errno fd_sync(Context& context, GuestMemory memory, uint32_t fd) noexcept;
Errno fd_tell(Context& context, GuestMemory memory, uint32_t fd, GuestPtr position) noexcept;
Errno fd_write(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
               GuestPtr bytes_written) noexcept;

Errno path_create_directory(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                            GuestSize path_len) noexcept;
Errno path_filestat_get(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags,
                        GuestPtr path, GuestSize path_len, GuestPtr filestat) noexcept;
Errno path_filestat_set_times(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags,
                              GuestPtr path, GuestSize path_len, uint64_t atim, uint64_t mtim,
                              uint32_t fst_flags) noexcept;
Errno path_link(Context& context, GuestMemory memory, uint32_t old_fd, uint32_t old_flags,
                GuestPtr old_path, GuestSize old_path_len, uint32_t new_fd, GuestPtr new_path,
                GuestSize new_path_len) noexcept;
Errno path_open(Context& context, GuestMemory memory, uint32_t fd, uint32_t dirflags, GuestPtr path,
                GuestSize path_len, uint32_t oflags, uint64_t rights_base,
                uint64_t rights_inheriting, uint32_t fdflags, GuestPtr opened_fd) noexcept;
Errno path_readlink(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                    GuestSize path_len, GuestPtr buf, GuestSize buf_len, GuestPtr used) noexcept;
Errno path_remove_directory(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                            GuestSize path_len) noexcept;
Errno path_rename(Context& context, GuestMemory memory, uint32_t fd, GuestPtr old_path,
                  GuestSize old_path_len, uint32_t new_fd, GuestPtr new_path,
                  GuestSize new_path_len) noexcept;
Errno path_symlink(Context& context, GuestMemory memory, GuestPtr old_path, GuestSize old_path_len,
                   uint32_t fd, GuestPtr new_path, GuestSize new_path_len) noexcept;
Errno path_unlink_file(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                       GuestSize path_len) noexcept;

Errno poll_oneoff(Context& context, GuestMemory memory, GuestPtr in, GuestPtr out, GuestSize count,
                  GuestPtr event_count) noexcept;

void proc_exit(Context& context, GuestMemory memory, uint32_t status) noexcept;
Errno proc_raise(Context& context, GuestMemory memory, uint32_t signal) noexcept;
Errno sched_yield(Context& context, GuestMemory memory) noexcept;
Errno random_get(Context& context, GuestMemory memory, GuestPtr buf, GuestSize buf_len) noexcept;

Errno sock_accept(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags,
                  GuestPtr accepted_fd) noexcept;
Errno sock_recv(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
                uint32_t flags, GuestPtr received, GuestPtr out_flags) noexcept;
Errno sock_send(Context& context, GuestMemory memory, uint32_t fd, GuestPtr iovs, GuestSize count,
                uint32_t flags, GuestPtr sent) noexcept;
Errno sock_shutdown(Context& context, GuestMemory memory, uint32_t fd, uint32_t how) noexcept;

/// Of module "mod_wasm", not of preview 1: locks a file by its open file description
/// (fcntl F_OFD_SETLK, flock), so that native programs heed it. It ends with the
/// descriptor, at the latest with the run.
/// @param kind    0 unlock, 1 shared, 2 exclusive; plus 4: only tell whether a range
///                could be locked so
/// @param length  bytes from `start`; 0 is to the end of the file, however it grows;
///                negative is the lock of flock(2), which no range conflicts with
/// @param wait    not 0: until it can be had, or the run ends
/// @return kAgain if another holds it, kNotcapable for an exclusive lock beneath a
///         read-only directory
Errno fd_lock(Context& context, GuestMemory memory, uint32_t fd, uint32_t kind, uint64_t start,
              uint64_t length, uint32_t wait) noexcept;

/// Of module "mod_wasm": from here on the run makes files and directories without these
/// permissions, as by umask(2). Preview 1 has none, so that all would be readable
/// by every user of the machine. It only takes away: files are made with 0666, directories
/// with 0777, less this and the process's own mask.
/// @param mask  permission bits, up to 0777
/// @return kInval for other bits
Errno file_umask(Context& context, GuestMemory memory, uint32_t mask) noexcept;

/// Of module "mod_wasm": the file status with what preview 1 has no place for, in particular the
/// permissions (struct Status). Sticky, set-user-ID and set-group-ID bits are shown only beneath
/// directories with `exec`. A standard stream seems to be readable and writable.
Errno fd_stat(Context& context, GuestMemory memory, uint32_t fd, GuestPtr status) noexcept;
/// @param flags  lookupflags of preview 1: whether a link at the end is followed
Errno path_stat(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags, GuestPtr path,
                GuestSize path_len, GuestPtr status) noexcept;

/// Of module "mod_wasm": path_filestat_set_times of preview 1 for times before 1970, too.
/// @param times  struct Time of access and of change, both read in any case
/// @return kInval for nanoseconds past a second
Errno path_set_times(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags,
                     GuestPtr path, GuestSize path_len, GuestPtr times,
                     uint32_t fst_flags) noexcept;

/// Of module "mod_wasm": what the run may do with what a path leads to, as access(2): both the
/// directory's being read-only and the file's permissions count.
/// @param mode  0 exists, or of 4 read, 2 write, 1 search; a file can be executed only beneath a
///              directory with `exec`
/// @return kPerm, kAcces or kRofs if not, kInval for other bits
Errno path_access(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                  GuestSize path_len, uint32_t mode) noexcept;

/// Of module "mod_wasm": chmod(2) for what belongs to the server's user. But for directories with
/// `exec`, a file never becomes executable: execute permissions that it has not are
/// left out, as are sticky and set-ID bits, which directories keep.
/// @param mode  up to 07777
/// @return kInval for other bits, kPerm beneath a read-only directory
Errno fd_chmod(Context& context, GuestMemory memory, uint32_t fd, uint32_t mode) noexcept;
/// A link at the end is followed.
Errno path_chmod(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                 GuestSize path_len, uint32_t mode) noexcept;

/// Of module "mod_wasm": the size of the file system on which a path lies, and what is left of
/// it (struct DiskSpace), as statvfs(3).
Errno path_disk_space(Context& context, GuestMemory memory, uint32_t fd, GuestPtr path,
                      GuestSize path_len, GuestPtr space) noexcept;

/// Of module "mod_wasm": how much of its native stack the guest may still use (struct StackSpace).
/// WebAssembly has no address of it; who looks can end a recursion before the limit ends the run.
/// @return kNosys while a start image is made
Errno stack_space(Context& context, GuestMemory memory, GuestPtr space) noexcept;

/// Where wasi_unstable differs from preview 1: layouts and the order of whence.
namespace unstable {

Errno fd_filestat_get(Context& context, GuestMemory memory, uint32_t fd,
                      GuestPtr filestat) noexcept;
Errno fd_seek(Context& context, GuestMemory memory, uint32_t fd, int64_t offset, uint32_t whence,
              GuestPtr position) noexcept;
Errno path_filestat_get(Context& context, GuestMemory memory, uint32_t fd, uint32_t flags,
                        GuestPtr path, GuestSize path_len, GuestPtr filestat) noexcept;
Errno poll_oneoff(Context& context, GuestMemory memory, GuestPtr in, GuestPtr out, GuestSize count,
                  GuestPtr event_count) noexcept;

}  // namespace unstable

}  // namespace wasmrt::wasi
