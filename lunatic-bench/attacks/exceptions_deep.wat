;; It throws exceptions through the deepest stack again and again, past as many handlers as may be.
;; expect: runs on
(module
    (tag $t) (tag $other)
    (memory (export "memory") 1)
    (global $left (mut i32) (i32.const 0))
    (func $down
        (global.set $left (i32.sub (global.get $left) (i32.const 1)))
        (if (i32.eqz (global.get $left)) (then (throw $t)))
        (block $h
            (try_table (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h) (catch $other $h)
                (call $down))))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (global.set $left (i32.const 6500))
            (try_table (catch $t $again) (call $down)))))
