;; SPDX-License-Identifier: Apache-2.0
;;
;; A module of 2019: imports wasi_unstable. Seeks to the end of a file by its
;; order of whence, reads the size from its layout of filestat, prints "ok".
(module
  (import "wasi_unstable" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "path_filestat_get"
    (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_unstable" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_unstable" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "ok\0afile")
  (data (i32.const 16) "\00\00\00\00\03\00\00\00")
  (func $must (param $line i32) (param $holds i32)
    (if (i32.eqz (local.get $holds)) (then (call $proc_exit (local.get $line)))))
  (func (export "_start")
    (call $must (i32.const 1) (i32.eqz
      (call $path_filestat_get (i32.const 3) (i32.const 0) (i32.const 3) (i32.const 4)
        (i32.const 64))))
    (call $must (i32.const 2) (i64.eq (i64.load (i32.const 88)) (i64.const 9)))
    (call $must (i32.const 3) (i32.eqz
      (call $path_open (i32.const 3) (i32.const 0) (i32.const 3) (i32.const 4) (i32.const 0)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 24))))
    (call $must (i32.const 4) (i32.eqz
      (call $fd_seek (i32.load (i32.const 24)) (i64.const 0) (i32.const 1) (i32.const 32))))
    (call $must (i32.const 5) (i64.eq (i64.load (i32.const 32)) (i64.const 9)))
    (call $must (i32.const 6) (i32.eqz
      (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 40))))))
