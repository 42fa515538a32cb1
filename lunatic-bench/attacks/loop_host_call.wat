;; It calls a host function for ever.
;; expect: runs on
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $process_id))
            (br $again))))
