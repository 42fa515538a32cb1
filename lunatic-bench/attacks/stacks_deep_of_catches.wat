;; Its processes write much of a second stack, which the engine keeps when their call is over, and then wait.
;; rights: spawn
;; limits: processes 1000
;; expect: stopped
(module
    (import "lunatic::process" "account_used" (func $account_used (param i32) (result i64)))
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::trap" "catch" (func $catch (param i32 i32) (result i32)))
    (import "lunatic::error" "drop" (func $drop (param i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "deep")
    (func $descend (param $more i32) (result i32)
        (if (result i32) (local.get $more)
            (then (i32.add (local.get $more)
                (call $descend (i32.sub (local.get $more) (i32.const 1)))))
            (else (i32.const 0))))
    (func (export "_lunatic_catch_trap") (param $function i32) (param $pointer i32) (result i32)
        (call $descend (i32.const 8000)))
    (func (export "deep")
        (drop (call $catch (i32.const 0) (i32.const 0)))
        (call $sleep_ms (i64.const -1)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $children i32)
        (local.set $children (i32.const 300))
        (loop $more
            (if (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                    (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 64))
                (then (call $drop (i64.load (i32.const 64)))))
            (call $sleep_ms (i64.const 1))
            (br_if $more (local.tee $children (i32.sub (local.get $children) (i32.const 1)))))
        (call $sleep_ms (i64.const 500))
        (loop $for_ever (br_if $for_ever (i64.gt_u (call $account_used (i32.const 1)) (i64.const 200))))))
