;; SPDX-License-Identifier: Apache-2.0
;; Calls a table's entry with the wrong type.
(module
  (memory (export "memory") 1)
  (table 2 funcref)
  (elem (i32.const 0) $with_argument)
  (type $plain (func))
  (func $with_argument (param i32) (result i32) (local.get 0))
  (func (export "_start") (call_indirect (type $plain) (i32.const 0))))
