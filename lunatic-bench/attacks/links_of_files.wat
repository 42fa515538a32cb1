;; It opens a path of two thousand links that each lead to their own directory.
;; rights: directory
;; expect: runs on
(module
    (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_symlink" (func $symlink (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) ".l")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $at i32)
        (if (call $symlink (i32.const 0) (i32.const 1) (i32.const 3) (i32.const 1) (i32.const 1))
            (then unreachable))
        (loop $more
            (i32.store16 offset=1024 (local.get $at) (i32.const 0x2f6c))
            (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 2))) (i32.const 4094))))
        (loop $again
            (if (i32.eqz (call $open (i32.const 3) (i32.const 1) (i32.const 1024) (i32.const 4094) (i32.const 0)
                    (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 64)))
                (then (drop (call $close (i32.load (i32.const 64))))))
            (br $again))))
