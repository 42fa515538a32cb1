;; It appends to one message without end.
;; expect: trap
(module
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $create_data (i64.const 7) (i64.const 0))
        (loop $again
            (drop (call $write_data (i32.const 0) (i32.const 65536)))
            (br $again))))
