;; It compiles functions with as many ways from calls to handlers of exceptions as may be.
;; rights: compile
;; limits: memory 1073741824
;; expect: contained
(module
    (import "lunatic::process" "compile_module" (func $compile_module (param i32 i32 i32) (result i32)))
    (memory (export "memory") 160)
    (data (i32.const 0) "(module (tag $t) (func $f) ")
    (data (i32.const 32) "(func (block $h (try_table (catch_all $h) ")
    (data (i32.const 96) "(call $f)")
    (data (i32.const 128) ")))")
    (data (i32.const 160) ")")
    (global $end (mut i32) (i32.const 4096))
    ;; Appends a piece of the data below so many times.
    (func $append (param $at i32) (param $length i32) (param $times i32)
        (loop $again
            (memory.copy (global.get $end) (local.get $at) (local.get $length))
            (global.set $end (i32.add (global.get $end) (local.get $length)))
            (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))
    (func $compile (result i32)
        (call $compile_module (i32.const 4096) (i32.sub (global.get $end) (i32.const 4096)) (i32.const 2048)))
    (func (export "main") (param $host i64) (param $neighbour i64) (local $left i32)
        (call $append (i32.const 0) (i32.const 27) (i32.const 1))
        (local.set $left (i32.const 10))
        (loop $more
            (call $append (i32.const 32) (i32.const 42) (i32.const 1))
            (call $append (i32.const 96) (i32.const 9) (i32.const 9500))
            (call $append (i32.const 128) (i32.const 3) (i32.const 1))
            (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (call $append (i32.const 160) (i32.const 1) (i32.const 1))
        (loop $again
            (drop (call $compile))
            (br $again))))
