;; It looks for a tag that none of its many messages has.
;; expect: contained
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "send" (func $send (param i64) (result i32)))
    (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $tag i64)
        (i64.store (i32.const 0) (i64.const -5))
        (loop $fill
            (call $create_data (local.tee $tag (i64.add (local.get $tag) (i64.const 1))) (i64.const 0))
            (drop (call $send (call $process_id)))
            (br_if $fill (i64.lt_u (local.get $tag) (i64.const 20000))))
        (loop $again
            (drop (call $receive (i32.const 0) (i32.const 1) (i64.const 0)))
            (br $again))))
