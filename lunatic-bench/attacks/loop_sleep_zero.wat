;; It waits for no time, for ever.
;; expect: runs on
(module
    (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (call $sleep_ms (i64.const 0))
            (br $again))))
