;; It works for ever.
;; expect: runs on
(module
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again

            (br $again))))
