;; Its heap is nearly full of exceptions, and it throws more at the bottom of the deepest stacks.
;; expect: runs on
(module
    (import "lunatic::trap" "catch" (func $catch (param i32 i32) (result i32)))
    (tag $t)
    (table $kept 90000 exnref)
    (memory (export "memory") 1)
    (func $keep (param $left i32) (local $thrown exnref)
        (loop $again
            (local.set $thrown (block $caught (result exnref)
                (try_table (catch_all_ref $caught) (throw $t)) (unreachable)))
            (table.set $kept (local.get $left) (local.get $thrown))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
    ;; Each stack is as deep as it may be, and on the last of them it throws for ever.
    (func $down (param $left i32) (param $stacks i32)
        (if (local.get $left)
            (then
                (call $down (i32.sub (local.get $left) (i32.const 1)) (local.get $stacks))
                (return)))
        (if (local.get $stacks)
            (then
                (drop (call $catch (i32.sub (local.get $stacks) (i32.const 1)) (i32.const 0)))
                (return)))
        (loop $again (try_table (catch $t $again) (throw $t))))
    (func (export "_lunatic_catch_trap") (param $stacks i32) (param i32) (result i32)
        (call $down (i32.const 4000) (local.get $stacks))
        (i32.const 1))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (call $keep (i32.const 4000))
        (call $down (i32.const 4000) (i32.const 8))))
