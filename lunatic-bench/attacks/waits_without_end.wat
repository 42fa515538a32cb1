;; All its processes yield, for ever.
;; rights: spawn
;; expect: runs on
(module
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "yields")
    (func $yields (export "yields")
        (loop $again (drop (call $yield)) (br $again)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $children i32)
        (local.set $children (i32.const 50))
        (loop $more
            (if (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                    (i32.const 0) (i32.const 6) (i32.const 0) (i32.const 0) (i32.const 64))
                (then unreachable))
            (br_if $more (local.tee $children (i32.sub (local.get $children) (i32.const 1)))))
        (call $yields)))
