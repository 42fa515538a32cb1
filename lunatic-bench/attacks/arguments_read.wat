;; Its child reads arguments of 2 MB, again and again.
;; rights: spawn configs
;; limits: memory 67108864
;; expect: runs on
(module
    (import "lunatic::process" "create_config" (func $create_config (result i64)))
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (import "lunatic::wasi" "config_add_command_line_argument" (func $add_argument (param i64 i32 i32)))
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
    (memory (export "memory") 200)
    (data (i32.const 0) "child")
    (func (export "child")
        (loop $again
            (drop (call $args_get (i32.const 1024) (i32.const 1048576)))
            (br $again)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $config i64) (local $arguments i32)
        (local.set $config (call $create_config))
        (local.set $arguments (i32.const 200))
        (memory.fill (i32.const 65536) (i32.const 65) (i32.const 10000))
        (loop $more
            (call $add_argument (local.get $config) (i32.const 65536) (i32.const 10000))
            (br_if $more (local.tee $arguments (i32.sub (local.get $arguments) (i32.const 1)))))
        (if (call $spawn (i64.const 0) (local.get $config) (i64.const -1)
                (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 64))
            (then unreachable))
        (call $sleep_ms (i64.const -1))))
