;; It sets timers with empty messages that have room for much.
;; expect: trap
(module
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::timer" "send_after" (func $send_after (param i64 i64) (result i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (call $create_data (i64.const 0) (i64.const 65536))
            (drop (call $send_after (call $process_id) (i64.const 3600000)))
            (br $again))))
