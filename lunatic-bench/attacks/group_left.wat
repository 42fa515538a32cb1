;; It takes a stranger out of its group.
;; expect: contained
(module
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (import "lunatic::group" "leave" (func $group_leave (param i32 i32 i32 i32 i64) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "neighbour")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (drop (call $group_leave (i32.const 64) (i32.const 0) (i32.const 0) (i32.const 9) (local.get $neighbour)))
        (call $sleep_ms (i64.const 100))))
