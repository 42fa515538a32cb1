;; It connects to a listener of its own, accepts, and closes both ends, as fast as it can.
;; rights: network
;; expect: contained
(module
    (import "lunatic::networking" "tcp_bind" (func $bind (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::networking" "tcp_local_addr" (func $local_addr (param i64 i32) (result i32)))
    (import "lunatic::networking" "resolve_next" (func $resolve_next (param i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::networking" "tcp_connect" (func $connect (param i32 i32 i32 i32 i32 i64 i32) (result i32)))
    (import "lunatic::networking" "tcp_accept" (func $accept (param i64 i32 i32) (result i32)))
    (import "lunatic::networking" "drop_tcp_stream" (func $drop_stream (param i64)))
    (import "lunatic::networking" "drop_dns_iterator" (func $drop_address (param i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\7f\00\00\01")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $listener i64)
        (if (call $bind (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
            (then unreachable))
        (local.set $listener (i64.load (i32.const 64)))
        (if (call $local_addr (local.get $listener) (i32.const 64)) (then unreachable))
        (if (call $resolve_next (i64.load (i32.const 64)) (i32.const 80) (i32.const 84) (i32.const 100)
                (i32.const 104) (i32.const 108))
            (then unreachable))
        (loop $again
            ;; There may be no port for another one.
            (if (call $connect (i32.const 4) (i32.const 0) (i32.load16_u (i32.const 100))
                    (i32.const 0) (i32.const 0) (i64.const 1000) (i32.const 64))
                (then return))
            (if (call $accept (local.get $listener) (i32.const 72) (i32.const 112)) (then return))
            (call $drop_stream (i64.load (i32.const 64)))
            (call $drop_stream (i64.load (i32.const 72)))
            (call $drop_address (i64.load (i32.const 112)))
            (br $again))))
