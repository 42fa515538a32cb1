;; It writes one byte at a time to ever further places of a file, and makes it longer and shorter.
;; rights: directory
;; expect: runs on
(module
    (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $set_size (param i32 i64) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 480)
    (data (i32.const 0) "file")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $place i64)
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)
                (i64.const 0x4000ee) (i64.const 0x4000ee) (i32.const 0) (i32.const 64))
            (then unreachable))
        ;; One byte, and then all of the memory.
        (i32.store (i32.const 128) (i32.const 0))
        (i32.store (i32.const 132) (i32.const 1))
        (i32.store (i32.const 136) (i32.const 1024))
        (i32.store (i32.const 140) (i32.const 31000000))
        (loop $again
            (local.set $place (i64.and (i64.add (local.get $place) (i64.const 0x1000001)) (i64.const 0xffffffff)))
            (drop (call $pwrite (i32.load (i32.const 64)) (i32.const 128) (i32.const 1) (local.get $place) (i32.const 72)))
            (drop (call $pread (i32.load (i32.const 64)) (i32.const 136) (i32.const 1) (i64.const 0) (i32.const 72)))
            (drop (call $set_size (i32.load (i32.const 64)) (i64.const 0x7fffffffffffffff)))
            (drop (call $set_size (i32.load (i32.const 64)) (local.get $place)))
            (br $again))))
