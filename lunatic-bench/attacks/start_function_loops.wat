;; It spawns a module whose start function never ends.
;; rights: compile spawn
;; expect: contained
(module
    (import "lunatic::process" "compile_module" (func $compile_module (param i32 i32 i32) (result i32)))
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "main")
    (data (i32.const 512) "(module (func $f (loop (br 0))) (start $f) (func (export \"main\")))")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (if (call $compile_module (i32.const 512) (i32.const 67) (i32.const 64)) (then unreachable))
        (drop (call $spawn (i64.const 0) (i64.const -1) (i64.load (i32.const 64))
            (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 64)))))
