;; SPDX-License-Identifier: Apache-2.0
;; Grows its memory page by page until that is refused, writes to each page,
;; and gives up.
(module
  (memory (export "memory") 1)
  (func $grow_to_the_end (local $page i32)
    (loop $again
      (local.set $page (memory.grow (i32.const 1)))
      (if (i32.ne (local.get $page) (i32.const -1))
        (then
          (i32.store (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1))
          (br $again))))
    unreachable)
  (func (export "_start") (call $grow_to_the_end)))
