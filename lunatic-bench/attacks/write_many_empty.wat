;; It writes a million pieces of no bytes, again and again.
;; expect: contained
(module
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 160)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1000000) (i32.const 0)))
            (br $again))))
