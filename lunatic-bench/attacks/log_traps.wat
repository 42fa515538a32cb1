;; Its processes trap one after the other, each of which is worth a line in the log.
;; rights: spawn
;; expect: contained
(module
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::process" "link" (func $link (param i64 i64)))
    (memory (export "memory") 1)
    (func $start (param $link i64) (param $config i64)
        (drop (call $spawn (local.get $link) (local.get $config) (i64.const -1)
            (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 64))))
    (data (i32.const 0) "child")
    (func (export "child") unreachable)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (call $start (i64.const 0) (i64.const -1))
            (br $again))))
