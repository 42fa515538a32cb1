;; It compiles a module whose passive segment has a hundred thousand functions.
;; rights: compile
;; expect: contained
(module
    (import "lunatic::process" "compile_module" (func $compile_module (param i32 i32 i32) (result i32)))
    (memory (export "memory") 4)
    ;; The module up to the first item, an item, and the code.
    (data (i32.const 0) "\00\61\73\6d\01\00\00\00\01\04\01\60\00\00\03\02\01\00\09\a5\8d\06\01\01\00\9f\8d\06")
    (data (i32.const 28) "\00")
    (data (i32.const 29) "\0a\04\01\02\00\0b")
    (global $end (mut i32) (i32.const 4096))
    ;; Appends a piece of the data above so many times.
    (func $append (param $at i32) (param $length i32) (param $times i32)
        (loop $again
            (memory.copy (global.get $end) (local.get $at) (local.get $length))
            (global.set $end (i32.add (global.get $end) (local.get $length)))
            (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
    (func $compile (result i32)
        (call $compile_module (i32.const 4096) (i32.sub (global.get $end) (i32.const 4096)) (i32.const 2048)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $append (i32.const 0) (i32.const 28) (i32.const 1))
        (call $append (i32.const 28) (i32.const 1) (i32.const 99999))
        (call $append (i32.const 29) (i32.const 6) (i32.const 1))
        (loop $again
            (drop (call $compile))
            (br $again))))
