;; It sends large datagrams to a socket of its own that it never reads from.
;; rights: network
;; expect: runs on
(module
    (import "lunatic::networking" "udp_bind" (func $bind (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::networking" "udp_local_addr" (func $local_addr (param i64 i32) (result i32)))
    (import "lunatic::networking" "resolve_next" (func $resolve_next (param i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::networking" "udp_send_to" (func $send_to (param i64 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::error" "drop" (func $drop (param i64)))
    (memory (export "memory") 2)
    (data (i32.const 0) "\7f\00\00\01")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $socket i64) (local $other i64)
        (if (call $bind (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
            (then unreachable))
        (local.set $socket (i64.load (i32.const 64)))
        (if (call $local_addr (local.get $socket) (i32.const 64)) (then unreachable))
        (if (call $resolve_next (i64.load (i32.const 64)) (i32.const 80) (i32.const 84) (i32.const 100)
                (i32.const 104) (i32.const 108))
            (then unreachable))
        (loop $again
            (if (call $send_to (local.get $socket) (i32.const 1024) (i32.const 60000) (i32.const 4)
                    (i32.const 0) (i32.load16_u (i32.const 100)) (i32.const 0) (i32.const 0) (i32.const 64))
                (then (call $drop (i64.load (i32.const 64)))))
            (br $again))))
