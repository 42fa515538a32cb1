;; It spawns with a megabyte of arguments.
;; rights: spawn
;; expect: contained
(module
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 32)
    (data (i32.const 0) "main")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (memory.fill (i32.const 64) (i32.const 0x7e) (i32.const 1700000))
        (loop $again
            (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                (i32.const 0) (i32.const 4) (i32.const 64) (i32.const 1700000) (i32.const 16)))
            (br $again))))
