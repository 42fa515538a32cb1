;; Kills all processes with small ids.
(module
    (import "lunatic::process" "kill" (func $kill (param i64)))
    (memory (export "memory") 1)
    (func (export "run")
        (local $id i64)
        (loop $again
            (call $kill (local.get $id))
            (local.set $id (i64.add (local.get $id) (i64.const 1)))
            (br_if $again (i64.lt_u (local.get $id) (i64.const 1000))))))
