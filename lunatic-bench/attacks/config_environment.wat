;; It puts variables into a config without end.
;; rights: configs
;; expect: trap
(module
    (import "lunatic::process" "create_config" (func $create_config (result i64)))
    (import "lunatic::wasi" "config_add_environment_variable" (func $config_add_environment_variable (param i64 i32 i32 i32 i32)))
    (memory (export "memory") 1)
    (global $number (mut i64) (i64.const 0))
    ;; Writes the next number to an address, in 16 letters.
    (func $next_name (param $at i32)
        (local $left i64)
        (global.set $number (i64.add (global.get $number) (i64.const 1)))
        (local.set $left (global.get $number))
        (loop $letter
            (i32.store8 (local.get $at) (i32.add (i32.const 97) (i32.wrap_i64 (i64.and (local.get $left) (i64.const 15)))))
            (local.set $left (i64.shr_u (local.get $left) (i64.const 4)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $letter (i32.and (local.get $at) (i32.const 15)))))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $config i64)
        (memory.fill (i32.const 0) (i32.const 97) (i32.const 4096))
        (local.set $config (call $create_config))
        (loop $again
            (call $next_name (i32.const 0))
            (call $config_add_environment_variable (local.get $config)
                (i32.const 0) (i32.const 16) (i32.const 0) (i32.const 4096))
            (br $again))))
