;; It stops others as if they were its supervisors.
;; expect: contained
(module
    (import "lunatic::supervisor" "stop" (func $supervisor_stop (param i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $supervisor_stop (local.get $host))
        (call $supervisor_stop (local.get $neighbour))))
