;; It asks its supervisor to stop again and again.
;; rights: spawn
;; expect: contained
(module
    (import "lunatic::supervisor" "create_spec" (func $supervisor_create_spec (param i32 i32 i32 i32 i64 i32) (result i64)))
    (import "lunatic::supervisor" "start" (func $supervisor_start (param i64 i64 i32) (result i32)))
    (import "lunatic::supervisor" "stop" (func $supervisor_stop (param i64)))
    (memory (export "memory") 1)
    (data (i32.const 0) "a")
    (func (export "main") (param $host i64) (param $neighbour i64) (local $spec i64)
        (local.set $spec (call $supervisor_create_spec (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i64.const 1000) (i32.const 0)))
        (loop $another
            (if (call $supervisor_start (local.get $spec) (i64.const 7) (i32.const 64)) (then return))
            (loop $again
                (call $supervisor_stop (i64.load (i32.const 64)))
                (br $again)))))
