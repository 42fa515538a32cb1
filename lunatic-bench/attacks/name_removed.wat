;; It removes the name of a stranger.
;; expect: contained
(module
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (import "lunatic::registry" "remove" (func $registry_remove (param i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "neighbour")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $registry_remove (i32.const 0) (i32.const 9))
        (call $sleep_ms (i64.const 100))))
