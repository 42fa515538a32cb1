;; Two hundred processes, each in a branch of its own below its own, work for some milliseconds and rest again and again.
;; rights: spawn configs
;; limits: processes 1000 memory 67108864
;; expect: runs on
(module
    (import "lunatic::process" "create_config" (func $create_config (result i64)))
    (import "lunatic::process" "config_set_limit" (func $config_set_limit (param i64 i32 i64)))
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "naps")
    (func (export "naps")
        (local $count i32)
        (loop $again
            (local.set $count (i32.const 3000000))
            (loop $work
                (br_if $work (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
            (call $sleep_ms (i64.const 150))
            (br $again)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $config i64)
        (local $count i32)
        (local.set $config (call $create_config))
        ;; A limit of processes, so that each gets an account of its own.
        (call $config_set_limit (local.get $config) (i32.const 6) (i64.const 10000))
        (local.set $count (i32.const 200))
        (loop $again
            (if (call $spawn (i64.const 0) (local.get $config) (i64.const -1)
                    (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 64))
                (then unreachable))
            (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
        (loop $forever (br $forever))))
