;; Its processes link one of them and remove that again, as fast as they can.
;; rights: spawn
;; expect: runs on
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::process" "link" (func $link (param i64 i64)))
    (import "lunatic::process" "unlink" (func $unlink (param i64)))
    (import "lunatic::process" "spawn" (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "links")
    (func $links (export "links") (param $process i64)
        (loop $again
            (call $link (i64.const 7) (local.get $process))
            (call $unlink (local.get $process))
            (br $again)))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $children i32)
        (local.set $children (i32.const 40))
        (i32.store8 (i32.const 128) (i32.const 0x7e))
        (i64.store offset=1 (i32.const 128) (call $process_id))
        (loop $more
            (if (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
                    (i32.const 0) (i32.const 5) (i32.const 128) (i32.const 17) (i32.const 64))
                (then unreachable))
            (br_if $more (local.tee $children (i32.sub (local.get $children) (i32.const 1)))))
        (call $links (i64.load (i32.const 64)))))
