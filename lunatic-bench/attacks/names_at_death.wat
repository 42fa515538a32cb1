;; It takes 50 000 names and traps, so that all of them are taken away at once.
;; rights: names
;; limits: memory 67108864 names 50000
;; expect: trap unreachable
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::distributed" "node_id" (func $node_id (result i64)))
    (import "lunatic::registry" "put" (func $put (param i32 i32 i64 i64)))
    (memory (export "memory") 1)
    ;; Four letters of a number at an address.
    (func $write (param $ptr i32) (param $number i32)
        (i32.store (local.get $ptr) (i32.add (i32.const 0x41414141) (i32.or
            (i32.or
                (i32.and (local.get $number) (i32.const 15))
                (i32.shl (i32.and (local.get $number) (i32.const 0xf0)) (i32.const 4)))
            (i32.or
                (i32.shl (i32.and (local.get $number) (i32.const 0xf00)) (i32.const 8))
                (i32.shl (i32.and (local.get $number) (i32.const 0xf000)) (i32.const 12)))))))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $names i32)
        (local.set $names (i32.const 50000))
        (loop $more
            (call $write (i32.const 0) (local.get $names))
            (call $put (i32.const 0) (i32.const 4) (call $node_id) (call $process_id))
            (br_if $more (local.tee $names (i32.sub (local.get $names) (i32.const 1)))))
        unreachable))
