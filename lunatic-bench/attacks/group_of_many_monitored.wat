;; It monitors a group in which it has 60 000 memberships, again and again.
;; rights: names
;; limits: memory 67108864 names 70000
;; expect: runs on
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
    (import "lunatic::group" "join" (func $join (param i32 i32 i32 i32 i64 i32) (result i32)))
    (import "lunatic::group" "monitor" (func $monitor (param i32 i32 i32 i32 i64 i32) (result i32)))
    (import "lunatic::group" "stop_monitoring" (func $stop_monitoring (param i32 i32 i64) (result i32)))
    (memory (export "memory") 1)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $joins i32)
        (local.set $joins (i32.const 60000))
        (loop $more
            (if (call $join (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 5)
                    (call $process_id) (i32.const 64))
                (then unreachable))
            (br_if $more (local.tee $joins (i32.sub (local.get $joins) (i32.const 1)))))
        (loop $again
            (if (call $monitor (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 5)
                    (i64.const 0) (i32.const 64))
                (then unreachable))
            (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
            (drop (call $stop_monitoring (i32.const 0) (i32.const 0) (i64.load (i32.const 64))))
            (br $again))))
