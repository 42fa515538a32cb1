;; It offers itself for reloads again and again, under kinds as long as may be.
;; expect: runs on
(module
    (import "lunatic::reload" "offer" (func $offer (param i32 i32 i64)))
    (import "lunatic::reload" "arm" (func $arm (result i64)))
    (import "lunatic::reload" "refuse" (func $refuse (param i32 i32)))
    (memory (export "memory") 1)
    (global $number (mut i64) (i64.const 0))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (memory.fill (i32.const 0) (i32.const 97) (i32.const 2048))
        (loop $again
            (global.set $number (i64.add (global.get $number) (i64.const 1)))
            ;; Digits of seven bits, so that it stays UTF-8.
            (i64.store (i32.const 0) (i64.and (global.get $number) (i64.const 0x7f7f7f7f7f7f7f7f)))
            (call $offer (i32.const 0) (i32.const 256) (global.get $number))
            (drop (call $arm))
            (call $refuse (i32.const 0) (i32.const 1024))
            (call $offer (i32.const 0) (i32.const 0) (i64.const 0))
            (br $again))))
