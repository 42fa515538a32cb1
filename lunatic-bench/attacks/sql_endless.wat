;; It runs a query without end in a database in memory, again and again.
;; expect: runs on
(module
    (import "lunatic::sqlite" "open" (func $open (param i32 i32 i32) (result i64)))
    (import "lunatic::sqlite" "execute" (func $execute (param i64 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 1024) "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (drop (call $open (i32.const 0) (i32.const 0) (i32.const 8)))
        (loop $again
            (drop (call $execute (i64.load (i32.const 8)) (i32.const 1024) (i32.const 87)))
            (br $again))))
