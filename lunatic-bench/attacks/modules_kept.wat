;; It compiles modules without end and keeps them.
;; rights: compile
;; expect: contained
(module
    (import "lunatic::process" "compile_module" (func $compile_module (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 512) "(module (memory 1) (data (i32.const 0) \"x\"))")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (br_if $again (i32.eqz (call $compile_module (i32.const 512) (i32.const 44) (i32.const 64)))))))
