;; Writes a file, reads it back, prints it and removes it, in nothing but calls of
;; WASI preview 1. Ends with the number of the first error, or 0.
;;
;;     lunatic run --dir DIRECTORY files.wat
(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek"
        (func $fd_seek (param i32 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read"
        (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close"
        (func $fd_close (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_unlink_file"
        (func $path_unlink_file (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit"
        (func $proc_exit (param i32)))

    (memory (export "memory") 1)

    ;; 0: a number that a function writes; 8: the descriptor of the file.
    ;; 16: the vector of one buffer, with the text; 24: one with room for 64 bytes.
    (data (i32.const 16) "\30\00\00\00\0f\00\00\00" "\80\00\00\00\40\00\00\00")
    (data (i32.const 32) "note.txt")
    (data (i32.const 48) "hello from WAT\n")

    ;; The first preopened directory.
    (global $directory i32 (i32.const 3))
    (global $stdout i32 (i32.const 1))

    ;; Ends the program unless `errno` is 0.
    (func $need (param $errno i32)
        (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))

    (func $file (result i32) (i32.load (i32.const 8)))

    (func (export "_start")
        ;; Created anew (1 and 4), to read (2) and to write (64).
        (call $need (call $path_open
            (global.get $directory) (i32.const 0) (i32.const 32) (i32.const 8) (i32.const 5)
            (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 8)))
        (call $need (call $fd_write (call $file) (i32.const 16) (i32.const 1) (i32.const 0)))
        (call $need (call $fd_seek (call $file) (i64.const 0) (i32.const 0) (i32.const 0)))
        (call $need (call $fd_read (call $file) (i32.const 24) (i32.const 1) (i32.const 0)))
        ;; As many bytes as were read are printed.
        (i32.store (i32.const 28) (i32.load (i32.const 0)))
        (call $need (call $fd_write (global.get $stdout) (i32.const 24) (i32.const 1) (i32.const 0)))
        (call $need (call $fd_close (call $file)))
        (call $need (call $path_unlink_file
            (global.get $directory) (i32.const 32) (i32.const 8)))))
