;; Thousands of processes watch it, and it traps.
;; rights: spawn
;; limits: memory 536870912 processes 4000
;; expect: trap unreachable
(module
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (import "lunatic::process" "link" (func $link (param i64 i64)))
    (import "lunatic::process" "monitor" (func $monitor (param i64)))
    (memory (export "memory") 1)
    (func $unused (param $link i64) (param $config i64)
        (drop (call $spawn (local.get $link) (local.get $config) (i64.const -1)
            (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 64))))
    (data (i32.const 0) "child")
    (global $parent (mut i64) (i64.const 0))
    (func (export "child") (param $parent i64)
        (call $monitor (local.get $parent))
        (call $sleep_ms (i64.const -1)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $left i32)
        (local.set $left (i32.const 2000))
        (i32.store8 (i32.const 32) (i32.const 0x7e))
        (i64.store (i32.const 33) (call $process_id))
        (loop $again
            (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                (i32.const 0) (i32.const 5) (i32.const 32) (i32.const 17) (i32.const 64)))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $sleep_ms (i64.const 20))
        unreachable))
