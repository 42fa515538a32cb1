;; It makes configs without end.
;; rights: configs
;; expect: trap
(module
    (import "lunatic::process" "create_config" (func $create_config (result i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (if (i64.eq (call $create_config) (i64.const -1)) (then unreachable))
            (br $again))))
