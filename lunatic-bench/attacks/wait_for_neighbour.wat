;; It waits for the end of a stranger.
;; expect: trap
(module
    (import "lunatic::supervisor" "wait" (func $supervisor_wait (param i64 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (drop (call $supervisor_wait (local.get $neighbour) (i64.const 50) (i32.const 0)))))
