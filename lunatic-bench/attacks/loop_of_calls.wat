;; It works for ever in functions that call each other by a tail call.
;; expect: runs on
(module
    (memory (export "memory") 1)
    (func $one (return_call $two))
    (func $two (return_call $one))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $one)))
