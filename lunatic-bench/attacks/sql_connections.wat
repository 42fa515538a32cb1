;; It opens databases in memory, and closes none.
;; expect: stopped
(module
    (import "lunatic::sqlite" "open" (func $open (param i32 i32 i32) (result i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $open (i32.const 0) (i32.const 0) (i32.const 8)))
            (br $again))))
