;; It copies 31 MB again and again.
;; expect: runs on
(module
    (memory (export "memory") 480)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (memory.copy (i32.const 0) (i32.const 1) (i32.const 31000000))
            (br $again))))
