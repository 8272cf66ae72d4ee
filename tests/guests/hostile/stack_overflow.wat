;; SPDX-License-Identifier: Apache-2.0
;; Recurses without end, with frames that take no linear memory.
(module
  (memory (export "memory") 1)
  (func $deeper (param i64 i64 i64 i64) (result i64)
    (i64.add
      (call $deeper
        (i64.add (local.get 1) (i64.const 1)) (local.get 2) (local.get 3) (local.get 0))
      (i64.mul (local.get 0) (local.get 3))))
  (func (export "_start")
    (drop (call $deeper (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))))
