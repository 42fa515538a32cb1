;; It wants to be permitted to signal processes that nobody has spawned yet.
;; expect: trap
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::process" "permit_signals" (func $permit_signals (param i64 i64) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (drop (call $permit_signals
            (call $process_id) (i64.add (call $process_id) (i64.const 1000000))))))
