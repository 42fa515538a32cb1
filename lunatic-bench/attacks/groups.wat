;; It joins groups without end.
;; expect: stopped
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::group" "join" (func $group_join (param i32 i32 i32 i32 i64 i32) (result i32)))
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
        (loop $again
            (call $next_name (i32.const 0))
            (br_if $again (i32.eqz (call $group_join (i32.const 64) (i32.const 0)
                (i32.const 0) (i32.const 16) (call $process_id) (i32.const 128)))))))
