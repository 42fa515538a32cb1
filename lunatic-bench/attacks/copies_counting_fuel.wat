;; It has a message of 12 MB copied again and again, in code that counts fuel.
;; expect: contained
(module
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
    (import "lunatic::message" "read_data" (func $read_data (param i32 i32) (result i32)))
    (import "lunatic::message" "seek_data" (func $seek_data (param i64)))
    ;; Who imports this is compiled to count fuel.
    (import "lunatic::process" "config_set_max_fuel" (func (param i64 i64)))
    (memory (export "memory") 200)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $create_data (i64.const 7) (i64.const 0))
        (drop (call $write_data (i32.const 0) (i32.const 12000000)))
        (loop $again
            (call $seek_data (i64.const 0))
            (drop (call $read_data (i32.const 0) (i32.const 12000000)))
            (br $again))))
