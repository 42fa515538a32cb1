;; It makes statements that it never removes, each with a long text.
;; expect: stopped
(module
    (import "lunatic::sqlite" "open" (func $open (param i32 i32 i32) (result i64)))
    (import "lunatic::sqlite" "query_prepare" (func $query_prepare (param i64 i32 i32) (result i64)))
    (memory (export "memory") 16)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (drop (call $open (i32.const 0) (i32.const 0) (i32.const 8)))
        (memory.fill (i32.const 1024) (i32.const 0x20) (i32.const 1000000))
        (loop $again
            (drop (call $query_prepare (i64.load (i32.const 8)) (i32.const 1024) (i32.const 1000000)))
            (br $again))))
