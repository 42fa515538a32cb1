;; It watches a stranger.
;; expect: trap
(module
    (import "lunatic::process" "monitor" (func $monitor (param i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $monitor (local.get $neighbour))))
