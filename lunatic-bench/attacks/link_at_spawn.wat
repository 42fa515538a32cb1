;; It spawns a process that links itself to a stranger and traps.
;; rights: spawn
;; expect: contained
(module
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::process" "link" (func $link (param i64 i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "child")
    (func (export "child") (param $neighbour i64)
        (call $link (i64.const 7) (local.get $neighbour))
        unreachable)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (i32.store8 (i32.const 32) (i32.const 0x7e))
        (i64.store (i32.const 33) (local.get $neighbour))
        (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
            (i32.const 0) (i32.const 5) (i32.const 32) (i32.const 17) (i32.const 64)))))
