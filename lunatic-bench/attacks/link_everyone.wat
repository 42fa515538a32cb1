;; It links itself to all processes with small ids and traps.
;; expect: stopped
(module
    (import "lunatic::process" "link" (func $link (param i64 i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $id i64)
        (loop $again
            (call $link (i64.const 7) (local.get $id))
            (local.set $id (i64.add (local.get $id) (i64.const 1)))
            (br_if $again (i64.lt_u (local.get $id) (i64.const 10000))))
        unreachable))
