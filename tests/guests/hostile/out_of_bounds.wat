;; SPDX-License-Identifier: Apache-2.0
;; Stores behind the end of linear memory, at the farthest address there is.
(module
  (memory (export "memory") 1)
  (func $store_outside
    (i64.store offset=0xffffffff (i32.const 0xffffffff) (i64.const -1)))
  (func (export "_start") (call $store_outside)))
