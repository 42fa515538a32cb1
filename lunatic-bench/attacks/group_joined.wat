;; It joins the group of a stranger, which must not see it there.
;; expect: contained
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (import "lunatic::group" "join" (func $group_join (param i32 i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "neighbour")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (drop (call $group_join (i32.const 64) (i32.const 0) (i32.const 0) (i32.const 9) (call $process_id) (i32.const 128)))
        (call $sleep_ms (i64.const 100))))
