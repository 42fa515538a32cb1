;; It kills whoever gets the next id.
;; expect: trap
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::process" "kill" (func $kill (param i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $next i64)
        (local.set $next (call $process_id))
        (loop $again
            (local.set $next (i64.add (local.get $next) (i64.const 1)))
            (call $kill (local.get $next))
            (br $again))))
