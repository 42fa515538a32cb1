;; It links itself again and again to a process that never was, and is told of that.
;; expect: trap limit of 33554432 bytes
(module
    (import "lunatic::process" "die_when_link_dies" (func $die_when_link_dies (param i32)))
    (import "lunatic::process" "link" (func $link (param i64 i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $die_when_link_dies (i32.const 0))
        (loop $again
            (call $link (i64.const 7) (i64.const 123456789))
            (br $again))))
