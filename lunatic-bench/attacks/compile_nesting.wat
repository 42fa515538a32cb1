;; It compiles blocks that are nested a hundred thousand deep.
;; rights: compile
;; limits: memory 1073741824
;; expect: contained
(module
    (import "lunatic::process" "compile_module" (func $compile_module (param i32 i32 i32) (result i32)))
    (memory (export "memory") 160)
    (data (i32.const 0) "(module (func ")
    (data (i32.const 14) "(block ")
    (data (i32.const 21) ")")
    (data (i32.const 22) "))")
    (global $end (mut i32) (i32.const 4096))
    ;; Appends a piece of the data below so many times.
    (func $append (param $at i32) (param $length i32) (param $times i32)
        (loop $again
            (memory.copy (global.get $end) (local.get $at) (local.get $length))
            (global.set $end (i32.add (global.get $end) (local.get $length)))
            (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
    (func $compile (result i32)
        (call $compile_module (i32.const 4096) (i32.sub (global.get $end) (i32.const 4096)) (i32.const 2048)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $append (i32.const 0) (i32.const 14) (i32.const 1))
        (call $append (i32.const 14) (i32.const 7) (i32.const 100000))
        (call $append (i32.const 21) (i32.const 1) (i32.const 100000))
        (call $append (i32.const 22) (i32.const 2) (i32.const 1))
        (loop $again
            (drop (call $compile))
            (br $again))))
