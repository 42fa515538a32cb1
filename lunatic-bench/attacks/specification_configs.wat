;; It adds children whose config it changes again and again, so that each keeps a copy.
;; rights: configs
;; expect: stopped
(module
    (import "lunatic::process" "create_config" (func $create_config (result i64)))
    (import "lunatic::wasi" "config_add_command_line_argument" (func $config_add_command_line_argument (param i64 i32 i32)))
    (import "lunatic::supervisor" "create_spec" (func $supervisor_create_spec (param i32 i32 i32 i32 i64 i32) (result i64)))
    (import "lunatic::supervisor" "add_child" (func $supervisor_add_child (param i64 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (data (i32.const 0) "a")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $config i64) (local $spec i64) (local $count i32)
        (memory.fill (i32.const 1024) (i32.const 97) (i32.const 100000))
        (local.set $config (call $create_config))
        (loop $large
            (call $config_add_command_line_argument (local.get $config) (i32.const 1024) (i32.const 100000))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br_if $large (i32.lt_u (local.get $count) (i32.const 20))))
        (local.set $spec (call $supervisor_create_spec (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i64.const 1000) (i32.const 0)))
        (i32.store (i32.const 512) (i32.const 0))
        (i32.store (i32.const 516) (i32.const 1))
        (i64.store (i32.const 520) (i64.const -1))
        (i64.store (i32.const 528) (local.get $config))
        (i32.store (i32.const 536) (i32.const 0))
        (i32.store (i32.const 540) (i32.const 1))
        (loop $again
            (call $config_add_command_line_argument (local.get $config) (i32.const 0) (i32.const 1))
            (br_if $again (i32.eqz (call $supervisor_add_child (local.get $spec) (i32.const 512) (i32.const 64)))))))
