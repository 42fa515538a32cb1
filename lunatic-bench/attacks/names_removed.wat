;; It takes 900 names and takes them away again, as fast as it can.
;; rights: names
;; expect: runs on
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::distributed" "node_id" (func $node_id (result i64)))
    (import "lunatic::registry" "put" (func $put (param i32 i32 i64 i64)))
    (import "lunatic::registry" "remove" (func $remove (param i32 i32)))
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
        (loop $again
            (local.set $names (i32.const 900))
            (loop $more
                (call $write (i32.const 0) (local.get $names))
                (call $put (i32.const 0) (i32.const 4) (call $node_id) (call $process_id))
                (br_if $more (local.tee $names (i32.sub (local.get $names) (i32.const 1)))))
            (local.set $names (i32.const 900))
            (loop $less
                (call $write (i32.const 0) (local.get $names))
                (call $remove (i32.const 0) (i32.const 4))
                (br_if $less (local.tee $names (i32.sub (local.get $names) (i32.const 1)))))
            (br $again))))
