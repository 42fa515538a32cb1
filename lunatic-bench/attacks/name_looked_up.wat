;; It looks up the name of a stranger, which must not be there for it.
;; expect: refused
(module
    (import "lunatic::registry" "get" (func $registry_get (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "neighbour")
    (func (export "main") (param $host i64) (param $neighbour i64)
        (if (i32.eqz (call $registry_get (i32.const 0) (i32.const 9) (i32.const 64) (i32.const 72)))
            (then unreachable))))
