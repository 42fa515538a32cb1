;; It watches a group without end.
;; expect: stopped
(module
    (import "lunatic::group" "monitor" (func $group_monitor (param i32 i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (br_if $again (i32.eqz (call $group_monitor (i32.const 64) (i32.const 1)
                (i32.const 0) (i32.const 1) (i64.const 7) (i32.const 128)))))))
