;; It opens files with a path of a megabyte.
;; expect: runs on
(module
    (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (memory (export "memory") 32)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 1048576) (i32.const 0) (i64.const 1) (i64.const 1) (i32.const 0) (i32.const 0)))
            (br $again))))
