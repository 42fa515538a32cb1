;; Sends itself messages of 64 KiB without end.
(module
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
    (import "lunatic::message" "send" (func $send (param i64) (result i32)))
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (memory (export "memory") 1)
    (func (export "run")
        (loop $again
            (call $create_data (i64.const 0) (i64.const 0))
            (drop (call $write_data (i32.const 0) (i32.const 65536)))
            (drop (call $send (call $process_id)))
            (br $again))))
