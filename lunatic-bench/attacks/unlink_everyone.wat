;; It removes links that it does not have.
;; expect: trap
(module
    (import "lunatic::process" "unlink" (func $unlink (param i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $unlink (local.get $neighbour))
        (call $unlink (local.get $host))))
