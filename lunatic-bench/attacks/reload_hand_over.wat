;; It hands over a large state to nobody, again and again.
;; expect: runs on
(module
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
    (import "lunatic::reload" "offer" (func $offer (param i32 i32 i64)))
    (import "lunatic::reload" "arm" (func $arm (result i64)))
    (import "lunatic::reload" "hand_over" (func $hand_over (param i64 i32) (result i32)))
    (memory (export "memory") 64)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $create_data (i64.const 1) (i64.const 0))
        (drop (call $write_data (i32.const 0) (i32.const 4194304)))
        (i32.store (i32.const 0) (i32.const 0x61616161))
        (call $offer (i32.const 0) (i32.const 4) (i64.const 1))
        (loop $again
            (drop (call $arm))
            (drop (call $hand_over (i64.const 1) (i32.const 16)))
            (br $again))))
