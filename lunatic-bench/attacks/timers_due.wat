;; It sets timers that are due at once.
;; expect: contained
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
    (import "lunatic::timer" "send_after" (func $send_after (param i64 i64) (result i64)))
    (memory (export "memory") 1)
    (func $later (param $to i64) (param $delay i64)
        (call $create_data (i64.const 7) (i64.const 0))
        (drop (call $write_data (i32.const 0) (i32.const 100)))
        (drop (call $send_after (local.get $to) (local.get $delay))))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (call $later (call $process_id) (i64.const 0))
            (br $again))))
