;; It catches traps inside of each other, and each time uses up another stack.
;; rights: spawn
;; expect: contained
(module
    (import "lunatic::trap" "catch" (func $catch (param i32 i32) (result i32)))
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "child")
    (func $overflow (result i32)
        (call $overflow) (call $overflow) i32.add)
    ;; The first one goes deeper as long as it may, and then uses up its stack.
    (func (export "_lunatic_catch_trap") (param $deeper i32) (param i32) (result i32)
        (if (local.get $deeper)
            (then (loop $again
                (drop (call $catch (i32.const 1) (i32.const 0)))
                (drop (call $catch (i32.const 0) (i32.const 0)))
                (br $again))))
        (call $overflow))
    (func $main (export "child")
        (drop (call $catch (i32.const 1) (i32.const 0))))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $left i32)
        (local.set $left (i32.const 60))
        (loop $again
            (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 64)))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $main)))
