;; It grants the right to compile, which it does not have.
;; rights: configs
;; expect: trap
(module
    (import "lunatic::process" "create_config" (func $create_config (result i64)))
    (import "lunatic::process" "config_set_can_compile_modules" (func $config_set_can_compile_modules (param i64 i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $config_set_can_compile_modules (call $create_config) (i32.const 1))))
