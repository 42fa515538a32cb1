;; It sends a stranger what looks like the answers that it waits for.
;; expect: trap
(module
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
    (import "lunatic::message" "send" (func $send (param i64) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $left i32)
        (local.set $left (i32.const 1000))
        (loop $again
            (call $create_data (i64.const 2) (i64.const 0))
            (i64.store (i32.const 0) (i64.extend_i32_u (local.get $left)))
            (drop (call $write_data (i32.const 0) (i32.const 8)))
            (drop (call $send (local.get $neighbour)))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
