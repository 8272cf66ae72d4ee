;; SPDX-License-Identifier: Apache-2.0
;; Traps before its entry point is called.
(module
  (memory (export "memory") 1)
  (func $begin unreachable)
  (start $begin)
  (func (export "_start")))
