;; It offers itself under a kind as long as its memory.
;; expect: trap 256
(module
    (import "lunatic::reload" "offer" (func $offer (param i32 i32 i64)))
    (memory (export "memory") 64)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $offer (i32.const 0) (i32.const 4194304) (i64.const 1))))
