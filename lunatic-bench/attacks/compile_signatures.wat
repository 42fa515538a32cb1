;; It compiles functions that are exported and have a thousand parameters each.
;; rights: compile
;; expect: refused
(module
    (import "lunatic::process" "compile_module" (func $compile_module (param i32 i32 i32) (result i32)))
    (memory (export "memory") 3)
    (global $at (mut i32) (i32.const 1024))
    (data (i32.const 0) "(module (type (func (param ")
    (data (i32.const 64) "i64 ")
    (data (i32.const 128) ")))")
    (data (i32.const 192) "(func (export \"aa\") (type 0))")
    (func $append (param $from i32) (param $length i32)
        (memory.copy (global.get $at) (local.get $from) (local.get $length))
        (global.set $at (i32.add (global.get $at) (local.get $length))))
    (func (export "main") (param $host i64) (param $neighbour i64) (local $count i32)
        (call $append (i32.const 0) (i32.const 27))
        (loop $params
            (call $append (i32.const 64) (i32.const 4))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br_if $params (i32.lt_u (local.get $count) (i32.const 1000))))
        (call $append (i32.const 128) (i32.const 3))
        (local.set $count (i32.const 0))
        (loop $functions
            (i32.store8 (i32.const 207) (i32.add (i32.const 97) (i32.rem_u (local.get $count) (i32.const 26))))
            (i32.store8 (i32.const 208) (i32.add (i32.const 97) (i32.div_u (local.get $count) (i32.const 26))))
            (call $append (i32.const 192) (i32.const 29))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br_if $functions (i32.lt_u (local.get $count) (i32.const 600))))
        (call $append (i32.const 130) (i32.const 1))
        (if (i32.ne (call $compile_module (i32.const 1024) (i32.sub (global.get $at) (i32.const 1024))
            (i32.const 16)) (i32.const 1)) (then unreachable))))
