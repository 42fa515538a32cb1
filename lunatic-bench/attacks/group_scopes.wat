;; It makes as many scopes of groups as it can, and joins nothing in them.
;; expect: stopped
(module
    (import "lunatic::group" "join" (func $group_join (param i32 i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64) (local $number i32)
        (loop $again
            (i32.store8 (i32.const 0) (i32.or (i32.const 64) (i32.and (local.get $number) (i32.const 31))))
            (i32.store8 (i32.const 1) (i32.or (i32.const 64) (i32.and
                (i32.shr_u (local.get $number) (i32.const 5)) (i32.const 31))))
            (i32.store8 (i32.const 2) (i32.or (i32.const 64) (i32.shr_u (local.get $number) (i32.const 10))))
            (drop (call $group_join (i32.const 0) (i32.const 3)
                (i32.const 64) (i32.const 1) (i64.const 0) (i32.const 128)))
            (local.set $number (i32.add (local.get $number) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $number) (i32.const 10000))))))
