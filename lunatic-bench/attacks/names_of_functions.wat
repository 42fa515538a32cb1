;; It traps in functions whose names take for ever to be written out, if that is done in full.
;; rights: spawn
;; expect: trap unreachable
(module
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "child")
    (func $_ZC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1IC1I (export "child")
        unreachable)
    (func $_Z1fI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_EI1fS_E (export "main") (param $host i64) (param $neighbour i64)
        (local $left i32)
        (local.set $left (i32.const 20))
        (loop $again
            (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 64)))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        unreachable))
