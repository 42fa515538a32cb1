;; It asks for 31 MB of random bytes again and again.
;; expect: runs on
(module
    (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
    (memory (export "memory") 480)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $random_get (i32.const 0) (i32.const 31000000)))
            (br $again))))
