;; It looks into its empty mailbox for ever.
;; expect: runs on
(module
    (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const 0)))
            (br $again))))
