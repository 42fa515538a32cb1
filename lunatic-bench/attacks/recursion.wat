;; It calls itself without end.
;; expect: trap
(module
    (memory (export "memory") 1)
    (func $deeper (param i64) (result i64) (i64.add (call $deeper (local.get 0)) (i64.const 1)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (drop (call $deeper (i64.const 0)))))
