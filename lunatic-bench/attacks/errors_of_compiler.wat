;; It keeps the errors of texts that do not compile.
;; rights: compile
;; expect: contained
(module
    (import "lunatic::process" "compile_module" (func $compile_module (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $compile_module (i32.const 0) (i32.const 60000) (i32.const 0)))
            (i64.store (i32.const 0) (i64.const 0x2020202020202020))
            (br $again))))
