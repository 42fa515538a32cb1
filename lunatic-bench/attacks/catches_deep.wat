;; It catches traps again and again, at the end of as many and as deep stacks as it gets.
;; expect: contained
(module
    (import "lunatic::trap" "catch" (func $catch (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (global $stacks (mut i32) (i32.const 0))
    ;; Goes so deep, and then begins another stack.
    (func $down (param $frames i32) (result i32)
        (if (result i32) (local.get $frames)
            (then (i32.add (i32.const 1)
                (call $down (i32.sub (local.get $frames) (i32.const 1)))))
            (else (call $catch (i32.const 1) (i32.const 0)))))
    (func (export "_lunatic_catch_trap") (param $deeper i32) (param i32) (result i32)
        (if (local.get $deeper)
            (then
                (global.set $stacks (i32.add (global.get $stacks) (i32.const 1)))
                ;; No further stack is given: traps are caught here from now on.
                (drop (call $down (i32.const 10000)))
                (loop $again
                    (drop (call $catch (i32.const 0) (i32.const 0)))
                    (br $again))))
        unreachable)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (drop (call $down (i32.const 10000)))))
