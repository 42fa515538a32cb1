;; It works for ever by calls through a table.
;; expect: runs on
(module
    (memory (export "memory") 1)
    (table funcref (elem $nothing))
    (func $nothing)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (call_indirect (i32.const 0))
            (br $again))))
