;; It joins one group without end.
;; expect: stopped
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::group" "join" (func $group_join (param i32 i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (br_if $again (i32.eqz (call $group_join (i32.const 64) (i32.const 1)
                (i32.const 0) (i32.const 1) (call $process_id) (i32.const 128)))))))
