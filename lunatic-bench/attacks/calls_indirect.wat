;; It calls a function of the host that takes some microseconds, by a table, again and again.
;; expect: runs on
(module
    (type $random (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (type $random)))
    (memory (export "memory") 1)
    (table funcref (elem $random_get))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call_indirect (type $random) (i32.const 0) (i32.const 16383) (i32.const 0)))
            (drop (call_indirect (type $random) (i32.const 0) (i32.const 16383) (i32.const 0)))
            (drop (call_indirect (type $random) (i32.const 0) (i32.const 16383) (i32.const 0)))
            (drop (call_indirect (type $random) (i32.const 0) (i32.const 16383) (i32.const 0)))
            (br $again))))
