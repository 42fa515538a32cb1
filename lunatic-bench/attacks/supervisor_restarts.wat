;; Its supervisor restarts a child that traps at once, as often as it may.
;; rights: spawn
;; limits: log_lines 50
;; expect: contained
(module
    (import "lunatic::supervisor" "create_spec" (func $create_spec (param i32 i32 i32 i32 i64 i32) (result i64)))
    (import "lunatic::supervisor" "add_child" (func $add_child (param i64 i32 i32) (result i32)))
    (import "lunatic::supervisor" "start" (func $start (param i64 i64 i32) (result i32)))
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "traps")
    (func (export "traps") unreachable)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $spec i64)
        (local.set $spec (call $create_spec (i32.const 0) (i32.const 1) (i32.const 0)
            (i32.const 1000000) (i64.const 1000) (i32.const 0)))
        (i32.store (i32.const 128) (i32.const 0))
        (i32.store offset=4 (i32.const 128) (i32.const 1))
        (i64.store offset=8 (i32.const 128) (i64.const -1))
        (i64.store offset=16 (i32.const 128) (i64.const -1))
        (i32.store offset=24 (i32.const 128) (i32.const 0))
        (i32.store offset=28 (i32.const 128) (i32.const 5))
        (i64.store offset=40 (i32.const 128) (i64.const -2))
        (if (call $add_child (local.get $spec) (i32.const 128) (i32.const 64)) (then unreachable))
        (drop (call $start (local.get $spec) (i64.const 7) (i32.const 64)))
        (call $sleep_ms (i64.const -1))))
