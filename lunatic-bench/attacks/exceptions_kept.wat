;; It keeps exceptions until there is no room for another.
;; expect: trap no room for another exception
(module
    (tag $t)
    (table $kept 90000 exnref)
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $left i32) (local $thrown exnref)
        (local.set $left (i32.const 89999))
        (loop $again
            (local.set $thrown (block $caught (result exnref)
                (try_table (catch_all_ref $caught) (throw $t)) (unreachable)))
            (table.set $kept (local.get $left) (local.get $thrown))
            (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
