;; SPDX-License-Identifier: Apache-2.0
;; Imports what no host of preview 1 offers.
(module
  (import "env" "mystery" (func $mystery))
  (memory (export "memory") 1)
  (func (export "_start") (call $mystery)))
