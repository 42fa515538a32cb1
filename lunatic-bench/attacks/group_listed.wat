;; It lists the group of a stranger, which must be empty for it.
;; expect: refused
(module
    (import "lunatic::group" "local_members" (func $group_local_members (param i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "neighbour")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (if (call $group_local_members (i32.const 64) (i32.const 0) (i32.const 0) (i32.const 9) (i32.const 128) (i32.const 4))
            (then unreachable))))
