;; It gives names to a stranger, who would pay for them.
;; expect: stopped
(module
    (import "lunatic::registry" "put" (func $registry_put (param i32 i32 i64 i64)))
    (import "lunatic::distributed" "node_id" (func $distributed_node_id (result i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64) (local $number i64)
        (loop $again
            (i64.store (i32.const 0) (i64.or (local.get $number) (i64.const 0x4040404040404040)))
            (call $registry_put (i32.const 0) (i32.const 8) (call $distributed_node_id) (local.get $neighbour))
            (local.set $number (i64.add (local.get $number) (i64.const 1)))
            (br_if $again (i64.lt_u (local.get $number) (i64.const 64))))))
