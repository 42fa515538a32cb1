;; All its processes sleep for a millisecond again and again.
;; rights: spawn
;; expect: runs on
(module
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (import "lunatic::process" "link" (func $link (param i64 i64)))
    (memory (export "memory") 1)
    (func $start (param $link i64) (param $config i64)
        (drop (call $spawn (local.get $link) (local.get $config) (i64.const -1)
            (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 64))))
    (data (i32.const 0) "child")
    (func $nap (export "child") (loop $again (call $sleep_ms (i64.const 1)) (br $again)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $left i32)
        (local.set $left (i32.const 60))
        (loop $again
            (call $start (i64.const 0) (i64.const -1))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $nap)))
