;; It compiles a function of fifty thousand indirect calls, with as much memory as that seems to take.
;; rights: compile
;; limits: memory 68000000
;; expect: contained
(module
    (import "lunatic::process" "compile_module" (func $compile_module (param i32 i32 i32) (result i32)))
    (memory (export "memory") 16)
    ;; The module up to the first call, a call of the first function of the table, and the end.
    (data (i32.const 0) "\00\61\73\6d\01\00\00\00\01\04\01\60\00\00\03\02\01\00\04\04\01\70\00\0a\0a\96\a1\0f\01\92\a1\0f\00")
    (data (i32.const 33) "\41\00\11\00\00")
    (data (i32.const 38) "\0b")
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
        (call $append (i32.const 0) (i32.const 33) (i32.const 1))
        (call $append (i32.const 33) (i32.const 5) (i32.const 50000))
        (call $append (i32.const 38) (i32.const 1) (i32.const 1))
        (loop $again
            (drop (call $compile))
            (br $again))))
