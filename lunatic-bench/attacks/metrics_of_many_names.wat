;; It records metrics under ever new names.
;; expect: contained
(module
    (import "lunatic::metrics" "counter" (func $counter (param i32 i32 i64)))
    (import "lunatic::metrics" "gauge" (func $gauge (param i32 i32 f64)))
    (import "lunatic::metrics" "histogram" (func $histogram (param i32 i32 f64)))
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
        (local $number i32)
        (loop $again
            (call $write (i32.const 1) (local.get $number))
            (i32.store8 (i32.const 0) (i32.const 99))
            (call $counter (i32.const 0) (i32.const 5) (i64.const 1))
            (i32.store8 (i32.const 0) (i32.const 103))
            (call $gauge (i32.const 0) (i32.const 5) (f64.const 1))
            (i32.store8 (i32.const 0) (i32.const 104))
            (call $histogram (i32.const 0) (i32.const 5) (f64.const 1))
            (local.set $number (i32.add (local.get $number) (i32.const 1)))
            (br $again))))
