;; It adds children with many arguments to a specification without end.
;; expect: stopped
(module
    (import "lunatic::supervisor" "create_spec" (func $supervisor_create_spec (param i32 i32 i32 i32 i64 i32) (result i64)))
    (import "lunatic::supervisor" "add_child" (func $supervisor_add_child (param i64 i32 i32) (result i32)))
    (memory (export "memory") 2)
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
        (local $spec i64)
        (local $at i32)
        (local.set $at (i32.const 1024))
        (loop $arguments
            (i32.store8 (local.get $at) (i32.const 0x7e))
            (local.set $at (i32.add (local.get $at) (i32.const 17)))
            (br_if $arguments (i32.lt_u (local.get $at) (i32.const 18024))))
        (local.set $spec (call $supervisor_create_spec (i32.const 0) (i32.const 16) (i32.const 0) (i32.const 1) (i64.const 1000) (i32.const 0)))
        (i32.store (i32.const 512) (i32.const 0))
        (i32.store (i32.const 516) (i32.const 16))
        (i64.store (i32.const 520) (i64.const -1))
        (i64.store (i32.const 528) (i64.const -1))
        (i32.store (i32.const 536) (i32.const 0))
        (i32.store (i32.const 540) (i32.const 16))
        (i32.store (i32.const 544) (i32.const 1024))
        (i32.store (i32.const 548) (i32.const 17000))
        (loop $again
            (call $next_name (i32.const 0))
            (br_if $again (i32.eqz (call $supervisor_add_child (local.get $spec) (i32.const 512) (i32.const 64)))))))
