;; Each process gives one unit of fuel to the next and ends.
;; rights: spawn configs
;; expect: contained
(module
    (import "lunatic::process" "create_config" (func $create_config (result i64)))
    (import "lunatic::process" "config_set_max_fuel" (func $config_set_max_fuel (param i64 i64)))
    (import "lunatic::process" "config_set_can_create_configs" (func $config_set_can_create_configs (param i64 i32)))
    (import "lunatic::process" "config_set_can_spawn_processes" (func $config_set_can_spawn_processes (param i64 i32)))
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::process" "link" (func $link (param i64 i64)))
    (memory (export "memory") 1)
    (func $start (param $link i64) (param $config i64)
        (drop (call $spawn (local.get $link) (local.get $config) (i64.const -1)
            (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 64))))
    (data (i32.const 0) "child")
    (func $next (export "child")
        (local $config i64)
        (local.set $config (call $create_config))
        (call $config_set_max_fuel (local.get $config) (i64.const 1))
        (call $config_set_can_spawn_processes (local.get $config) (i32.const 1))
        (call $config_set_can_create_configs (local.get $config) (i32.const 1))
        (call $start (i64.const 0) (local.get $config)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $next)))
