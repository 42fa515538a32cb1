;; It looks up names of 30 MB.
;; expect: contained
(module
    (import "lunatic::registry" "get" (func $registry_get (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 480)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $registry_get (i32.const 0) (i32.const 30000000) (i32.const 0) (i32.const 8)))
            (br $again))))
