;; It links itself to the process that spawned it and traps.
;; expect: stopped
(module
    (import "lunatic::process" "link" (func $link (param i64 i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $link (i64.const 7) (local.get $host))
        unreachable))
