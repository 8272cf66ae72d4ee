;; SPDX-License-Identifier: Apache-2.0
;; Recurses to the end of its stack and calls the host at each step, so that
;; what the host needs comes on top of all that the guest may have: writes the
;; response, polls, looks a path up.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get"
    (func $status (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "\10\00\00\00\1b\00\00\00")
  (data (i32.const 16) "Content-Type: text/plain\n\n.")
  (data (i32.const 48) "\2a\00\00\00\01\00\00\00")
  (data (i32.const 64) "a/../b/../file")
  (func $deeper
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 96)))
    (drop (call $write (i32.const 2) (i32.const 48) (i32.const 1) (i32.const 96)))
    (drop (call $poll (i32.const 131072) (i32.const 65536) (i32.const 1000) (i32.const 96)))
    (drop (call $status (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 14) (i32.const 1024)))
    (call $deeper))
  (func (export "_start") (call $deeper)))
