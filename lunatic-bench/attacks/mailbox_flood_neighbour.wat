;; It fills the mailbox of a stranger.
;; expect: trap
(module
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
    (import "lunatic::message" "send" (func $send (param i64) (result i32)))
    (memory (export "memory") 1)
    (func $post (param $to i64) (param $length i32)
        (call $create_data (i64.const 7) (i64.const 0))
        (drop (call $write_data (i32.const 0) (local.get $length)))
        (drop (call $send (local.get $to))))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (call $post (local.get $neighbour) (i32.const 1000))
            (br $again))))
