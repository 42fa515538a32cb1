;; It watches a group many times over, of which processes that end leave many memberships.
;; rights: spawn
;; expect: contained
(module
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::group" "join" (func $group_join (param i32 i32 i32 i32 i64 i32) (result i32)))
    (import "lunatic::group" "monitor" (func $group_monitor (param i32 i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "child")
    (func (export "child")
        (loop $again
            (br_if $again (i32.eqz (call $group_join (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 1) (call $process_id) (i32.const 128))))))
    (func (export "main") (param $host i64) (param $neighbour i64) (local $count i32)
        (loop $watch
            (drop (call $group_monitor (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 1) (i64.const 7) (i32.const 128)))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br_if $watch (i32.lt_u (local.get $count) (i32.const 500))))
        (loop $again
            (drop (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 64)))
            (br $again))))
