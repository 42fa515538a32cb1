;; It puts arguments into a config without end.
;; rights: configs
;; expect: trap
(module
    (import "lunatic::process" "create_config" (func $create_config (result i64)))
    (import "lunatic::wasi" "config_add_command_line_argument" (func $config_add_command_line_argument (param i64 i32 i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $config i64)
        (memory.fill (i32.const 0) (i32.const 97) (i32.const 60000))
        (local.set $config (call $create_config))
        (loop $again
            (call $config_add_command_line_argument (local.get $config) (i32.const 0) (i32.const 60000))
            (br $again))))
