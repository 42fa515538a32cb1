;; It works for ever in a loop that is left by no branch.
;; expect: runs on
(module
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (br_table $again $again $again (i32.const 1)))))
