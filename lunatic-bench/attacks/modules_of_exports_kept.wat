;; It keeps modules that have twenty thousand exports and hardly any code.
;; rights: compile
;; expect: stopped
(module
    (import "lunatic::process" "compile_module" (func $compile_module (param i32 i32 i32) (result i32)))
    (memory (export "memory") 4)
    ;; The module up to the first export, an export with room for its name, and the code.
    (data (i32.const 0) "\00\61\73\6d\01\00\00\00\01\04\01\60\00\00\03\02\01\00\07\83\e2\09\a0\9c\01")
    (data (i32.const 25) "\05.....\00\00")
    (data (i32.const 33) "\0a\04\01\02\00\0b")
    (global $end (mut i32) (i32.const 4096))
    ;; Appends a piece of the data above so many times.
    (func $append (param $at i32) (param $length i32) (param $times i32)
        (loop $again
            (memory.copy (global.get $end) (local.get $at) (local.get $length))
            (global.set $end (i32.add (global.get $end) (local.get $length)))
            (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
    (func $compile (result i32)
        (call $compile_module (i32.const 4096) (i32.sub (global.get $end) (i32.const 4096)) (i32.const 2048)))
    ;; Writes five bits of a number as a letter.
    (func $letter (param $at i32) (param $number i32) (param $shift i32)
        (i32.store8 (local.get $at) (i32.add (i32.const 64)
            (i32.and (i32.const 31) (i32.shr_u (local.get $number) (local.get $shift))))))
    (func $name (param $at i32) (param $module i32) (param $export i32)
        (call $letter (local.get $at) (local.get $module) (i32.const 5))
        (call $letter (i32.add (local.get $at) (i32.const 1)) (local.get $module) (i32.const 0))
        (call $letter (i32.add (local.get $at) (i32.const 2)) (local.get $export) (i32.const 10))
        (call $letter (i32.add (local.get $at) (i32.const 3)) (local.get $export) (i32.const 5))
        (call $letter (i32.add (local.get $at) (i32.const 4)) (local.get $export) (i32.const 0)))
    (func $build (param $module i32)
        (local $export i32)
        (global.set $end (i32.const 4096))
        (call $append (i32.const 0) (i32.const 25) (i32.const 1))
        (loop $again
            (call $append (i32.const 25) (i32.const 8) (i32.const 1))
            (call $name (i32.sub (global.get $end) (i32.const 7)) (local.get $module) (local.get $export))
            (local.set $export (i32.add (local.get $export) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $export) (i32.const 20000))))
        (call $append (i32.const 33) (i32.const 6) (i32.const 1)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $module i32)
        (loop $again
            (call $build (local.get $module))
            (local.set $module (i32.add (local.get $module) (i32.const 1)))
            (br_if $again (i32.eqz (call $compile))))))
