;; It keeps the errors of calls that fail.
;; expect: stopped
(module
    (import "lunatic::group" "join" (func $group_join (param i32 i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $group_join (i32.const 64) (i32.const 0)
                (i32.const 0) (i32.const 200) (i64.const 0x7fffffff) (i32.const 512)))
            (br $again))))
