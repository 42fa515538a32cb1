;; It waits for 200 000 clocks at once, again and again.
;; expect: contained
(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 480)
    (func (export "main") (param $host i64) (param $neighbour i64)
        (loop $again
            (drop (call $poll_oneoff (i32.const 0) (i32.const 16000000) (i32.const 200000) (i32.const 64)))
            (br $again))))
