;; It asks for messages with room for more than there is, and keeps them.
;; expect: trap
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "send" (func $send (param i64) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (call $create_data (i64.const 7) (i64.const 0x3fffffffffffffff))
            (drop (call $send (call $process_id)))
            (br $again))))
