;; It throws and catches exceptions for ever.
;; expect: runs on
(module
    (tag $t)
    (memory (export "memory") 1)
    (func $throw (throw $t))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (try_table (catch $t $again) (call $throw)))))
