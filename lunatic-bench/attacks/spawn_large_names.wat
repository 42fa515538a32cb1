;; It spawns with names of exports of a megabyte.
;; rights: spawn
;; expect: contained
(module
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 32)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                (i32.const 0) (i32.const 1000000) (i32.const 0) (i32.const 0) (i32.const 64)))
            (br $again))))
