;; SPDX-License-Identifier: Apache-2.0
;; Grows a table until that is refused, and gives up.
(module
  (memory (export "memory") 1)
  (table $table 1 funcref)
  (func $grow_to_the_end
    (loop $again
      (br_if $again
        (i32.ne (table.grow $table (ref.null func) (i32.const 4096)) (i32.const -1))))
    unreachable)
  (func (export "_start") (call $grow_to_the_end)))
