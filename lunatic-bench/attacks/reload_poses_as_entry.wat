;; It accepts what nobody has handed over to it.
;; expect: trap only an entry
(module
    (import "lunatic::reload" "accept" (func $accept))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $accept)))
