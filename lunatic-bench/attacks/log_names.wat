;; Its label has line ends and escape sequences, and it traps.
;; expect: stopped
(module
    (import "lunatic::process" "set_label" (func $set_label (param i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\n\1b[31m WARN everything is well\r\n")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $set_label (i32.const 0) (i32.const 33))
        unreachable))
