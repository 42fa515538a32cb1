;; It kills the process that spawned it.
;; expect: trap
(module
    (import "lunatic::process" "kill" (func $kill (param i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $kill (local.get $host))))
