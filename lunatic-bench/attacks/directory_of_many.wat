;; It makes files in its directory, and lists it again and again.
;; rights: directory
;; expect: runs on
(module
    (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 2)
    ;; Four letters of a number at an address.
    (func $write (param $ptr i32) (param $number i32)
        (i32.store (local.get $ptr) (i32.add (i32.const 0x41414141) (i32.or
            (i32.or
                (i32.and (local.get $number) (i32.const 15))
                (i32.shl (i32.and (local.get $number) (i32.const 0xf0)) (i32.const 4)))
            (i32.or
                (i32.shl (i32.and (local.get $number) (i32.const 0xf00)) (i32.const 8))
                (i32.shl (i32.and (local.get $number) (i32.const 0xf000)) (i32.const 12)))))))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $number i32)
        (loop $again
            (call $write (i32.const 0) (local.get $number))
            (local.set $number (i32.add (local.get $number) (i32.const 1)))
            ;; With all rights, to create it.
            (if (i32.eqz (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)
                    (i64.const 66) (i64.const 66) (i32.const 0) (i32.const 64)))
                (then (drop (call $close (i32.load (i32.const 64))))))
            (drop (call $readdir (i32.const 3) (i32.const 1024) (i32.const 60000) (i64.const 0) (i32.const 64)))
            (br $again))))
