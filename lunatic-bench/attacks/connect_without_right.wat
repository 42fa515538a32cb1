;; It connects to the loopback address, which it may not.
;; expect: stopped
(module
    (import "lunatic::networking" "tcp_connect" (func $tcp_connect (param i32 i32 i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\7f\00\00\01")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (if (i32.eqz (call $tcp_connect (i32.const 4) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0)
                (i64.const 1000) (i32.const 64)))
            (then (loop $spin (br $spin))))))
