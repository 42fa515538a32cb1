;; It makes specifications of supervisors without end.
;; expect: trap
(module
    (import "lunatic::supervisor" "create_spec" (func $supervisor_create_spec (param i32 i32 i32 i32 i64 i32) (result i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $supervisor_create_spec (i32.const 0) (i32.const 16) (i32.const 0) (i32.const 1) (i64.const 1000) (i32.const 0)))
            (br $again))))
