;; It has strangers end their children.
;; expect: contained
(module
    (import "lunatic::supervisor" "terminate_process" (func $supervisor_terminate_process (param i64 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (drop (call $supervisor_terminate_process (local.get $host) (local.get $neighbour) (i32.const 0)))))
