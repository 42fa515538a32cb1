;; It traps and catches that for ever.
;; expect: runs on
(module
    (import "lunatic::trap" "catch" (func $catch (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_lunatic_catch_trap") (param i32 i32) (result i32) unreachable)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $catch (i32.const 0) (i32.const 0)))
            (br $again))))
