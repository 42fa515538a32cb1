;; It kills all processes with small ids.
;; expect: trap
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::process" "kill" (func $kill (param i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $id i64)
        (loop $again
            (if (i64.ne (local.get $id) (call $process_id))
                (then (call $kill (local.get $id))))
            (local.set $id (i64.add (local.get $id) (i64.const 1)))
            (br_if $again (i64.lt_u (local.get $id) (i64.const 10000))))))
