;; It spawns without the right to.
;; expect: trap
(module
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "main")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
            (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 64)))))
