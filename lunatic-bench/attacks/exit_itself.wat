;; It asks itself to end again and again, and does not.
;; expect: trap limit of 33554432 bytes
(module
    (import "lunatic::process" "die_when_link_dies" (func $die_when_link_dies (param i32)))
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::process" "exit" (func $exit (param i64 i32 i32 i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $die_when_link_dies (i32.const 0))
        (loop $again
            (call $exit (call $process_id) (i32.const 3) (i32.const 0) (i32.const 0))
            (br $again))))
