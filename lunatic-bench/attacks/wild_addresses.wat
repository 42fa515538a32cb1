;; It tells the host of memory that it does not have.
;; expect: trap
(module
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $create_data (i64.const 0) (i64.const 0))
        (drop (call $write_data (i32.const -1) (i32.const -1)))))
