;; It ends before its timers are due.
;; expect: refused
(module
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
    (import "lunatic::timer" "send_after" (func $send_after (param i64 i64) (result i64)))
    (memory (export "memory") 1)
    (func $later (param $to i64) (param $delay i64)
        (call $create_data (i64.const 7) (i64.const 0))
        (drop (call $write_data (i32.const 0) (i32.const 100)))
        (drop (call $send_after (local.get $to) (local.get $delay))))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $left i32)
        (local.set $left (i32.const 500))
        (loop $again
            (call $later (local.get $host) (i64.const 300))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
