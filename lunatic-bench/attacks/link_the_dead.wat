;; It links itself again and again to a process that has ended, and is told of that.
;; rights: spawn
;; expect: trap limit of 33554432 bytes
(module
    (import "lunatic::process" "die_when_link_dies" (func $die_when_link_dies (param i32)))
    (import "lunatic::process" "exists" (func $exists (param i64) (result i32)))
    (import "lunatic::process" "link" (func $link (param i64 i64)))
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "ends")
    (func (export "ends"))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $die_when_link_dies (i32.const 0))
        (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
            (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 64)))
        (loop $lives
            (br_if $lives (call $exists (i64.load (i32.const 64)))))
        (loop $again
            (call $link (i64.const 7) (i64.load (i32.const 64)))
            (br $again))))
