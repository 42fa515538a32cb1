;; It sends messages to the group of a stranger.
;; expect: contained
(module
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::group" "broadcast" (func $group_broadcast (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "neighbour")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $create_data (i64.const 2) (i64.const 0))
        (drop (call $group_broadcast (i32.const 64) (i32.const 0) (i32.const 0) (i32.const 9)))
        (call $sleep_ms (i64.const 100))))
