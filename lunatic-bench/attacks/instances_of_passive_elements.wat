;; It spawns processes that sleep, of a module whose passive segment has ten thousand functions.
;; rights: compile spawn
;; limits: processes 1000 memory 134217728
;; expect: refused
(module
    (import "lunatic::process" "compile_module" (func $compile_module (param i32 i32 i32) (result i32)))
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 4)
    ;; The module up to the first item, an item, and the code.
    (data (i32.const 0) "\00\61\73\6d\01\00\00\00\01\08\02\60\00\00\60\01\7e\00\02\1d\01\10\6c\75\6e\61\74\69\63\3a\3a\70\72\6f\63\65\73\73\08\73\6c\65\65\70\5f\6d\73\00\01\03\02\01\00\07\09\01\05\63\68\69\6c\64\00\01\09\8b\4e\01\01\00\86\4e")
    (data (i32.const 72) "\00")
    (data (i32.const 73) "\0a\08\01\06\00\42\7f\10\00\0b")
    (data (i32.const 1024) "child")
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
        (local $module i64)
        (call $append (i32.const 0) (i32.const 72) (i32.const 1))
        (call $append (i32.const 72) (i32.const 1) (i32.const 9990))
        (call $append (i32.const 73) (i32.const 10) (i32.const 1))
        (if (call $compile) (then unreachable))
        (local.set $module (i64.load (i32.const 2048)))
        ;; Until there is no memory left.
        (loop $again
            (br_if $again (i32.eqz (call $spawn (i64.const 0) (i64.const -1) (local.get $module)
                (i32.const 1024) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 2048)))))))
