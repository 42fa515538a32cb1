;; It grows its memory as far as it goes, which must be less than 32 MiB.
;; expect: refused
(module
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (if (i32.gt_u (memory.size) (i32.const 512)) (then unreachable))))
