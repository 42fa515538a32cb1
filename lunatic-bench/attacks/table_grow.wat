;; It grows a table as far as it goes.
;; expect: refused
(module
    (memory (export "memory") 1)
    (table $table 1 funcref)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (br_if $again (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
        (if (i32.gt_u (table.size $table) (i32.const 10000000)) (then unreachable))))
