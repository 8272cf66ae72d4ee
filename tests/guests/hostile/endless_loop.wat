;; SPDX-License-Identifier: Apache-2.0
;; Computes for ever without a host call.
(module
  (memory (export "memory") 1)
  (func (export "_start") (loop $again (br $again))))
