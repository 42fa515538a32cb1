;; It listens at the loopback address, which it may not.
;; expect: stopped
(module
    (import "lunatic::networking" "tcp_bind" (func $tcp_bind (param i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\7f\00\00\01")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (if (i32.eqz (call $tcp_bind (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64)))
            (then (loop $spin (br $spin))))))
