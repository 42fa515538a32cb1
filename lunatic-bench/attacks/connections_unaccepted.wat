;; It connects to a listener of its own that accepts nobody, as often as it can.
;; rights: network
;; expect: refused
(module
    (import "lunatic::networking" "tcp_bind" (func $bind (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::networking" "tcp_local_addr" (func $local_addr (param i64 i32) (result i32)))
    (import "lunatic::networking" "resolve_next" (func $resolve_next (param i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::networking" "tcp_connect" (func $connect (param i32 i32 i32 i32 i32 i64 i32) (result i32)))
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
            (br_if $again (i32.eqz (call $connect (i32.const 4) (i32.const 0) (i32.load16_u (i32.const 100))
                (i32.const 0) (i32.const 0) (i64.const 1000) (i32.const 64)))))))
