;; It puts sixteen thousand modules into a message and drops that, again and again.
;; expect: runs on
(module
    (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
    (import "lunatic::message" "push_module" (func $push_module (param i64) (result i64)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $modules i32)
        (loop $again
            (call $create_data (i64.const 0) (i64.const 0))
            (local.set $modules (i32.const 16000))
            (loop $more
                (drop (call $push_module (i64.const -1)))
                (br_if $more (local.tee $modules (i32.sub (local.get $modules) (i32.const 1)))))
            (br $again))))
