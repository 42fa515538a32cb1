;; It nests specifications as deep as it can.
;; expect: stopped
(module
    (import "lunatic::supervisor" "create_spec" (func $supervisor_create_spec (param i32 i32 i32 i32 i64 i32) (result i64)))
    (import "lunatic::supervisor" "drop_spec" (func $supervisor_drop_spec (param i64)))
    (import "lunatic::supervisor" "add_supervisor" (func $supervisor_add_supervisor (param i64 i64 i32 i64 i32 i32) (result i32)))
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
        (local $inner i64)
        (local $outer i64)
        (call $next_name (i32.const 0))
        (local.set $inner (call $supervisor_create_spec (i32.const 0) (i32.const 16) (i32.const 0) (i32.const 1) (i64.const 1000) (i32.const 0)))
        (loop $again
            (call $next_name (i32.const 0))
            (local.set $outer (call $supervisor_create_spec (i32.const 0) (i32.const 16) (i32.const 0) (i32.const 1) (i64.const 1000) (i32.const 0)))
            (if (call $supervisor_add_supervisor (local.get $outer) (local.get $inner)
                    (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 64))
                (then return))
            (call $supervisor_drop_spec (local.get $inner))
            (local.set $inner (local.get $outer))
            (br $again))))
