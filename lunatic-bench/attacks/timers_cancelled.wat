;; It sets 900 timers and cancels them again, as fast as it can.
;; expect: runs on
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::timer" "send_after" (func $send_after (param i64 i64) (result i64)))
    (import "lunatic::timer" "cancel_timer" (func $cancel_timer (param i64) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $at i32)
        (loop $again
            (local.set $at (i32.const 7200))
            (loop $more
                (call $create_data (i64.const 0) (i64.const 0))
                (i64.store (local.get $at) (call $send_after (call $process_id) (i64.const 3600000)))
                (br_if $more (local.tee $at (i32.sub (local.get $at) (i32.const 8)))))
            (local.set $at (i32.const 7200))
            (loop $less
                (drop (call $cancel_timer (i64.load (local.get $at))))
                (br_if $less (local.tee $at (i32.sub (local.get $at) (i32.const 8)))))
            (br $again))))
