;; It takes the name of a stranger.
;; expect: contained
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (import "lunatic::registry" "put" (func $registry_put (param i32 i32 i64 i64)))
    (import "lunatic::distributed" "node_id" (func $distributed_node_id (result i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "neighbour")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $registry_put (i32.const 0) (i32.const 9) (call $distributed_node_id) (call $process_id))
        (call $sleep_ms (i64.const 100))))
