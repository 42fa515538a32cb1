;; It joins and leaves 900 groups in one scope after the other, of which none has to keep anything.
;; expect: runs on
(module
    (import "lunatic::process" "process_id" (func $process_id (result i64)))
    (import "lunatic::group" "join" (func $join (param i32 i32 i32 i32 i64 i32) (result i32)))
    (import "lunatic::group" "leave" (func $leave (param i32 i32 i32 i32 i64) (result i32)))
    (memory (export "memory") 1)
    ;; Four letters of a number.
    (func $write (param $ptr i32) (param $number i32)
        (i32.store (local.get $ptr) (i32.add (i32.const 0x41414141) (i32.or
            (i32.or
                (i32.and (local.get $number) (i32.const 15))
                (i32.shl (i32.and (local.get $number) (i32.const 0xf0)) (i32.const 4)))
            (i32.shl (i32.and (local.get $number) (i32.const 0xf00)) (i32.const 8))))))
    (func (export "main") (param $host i64) (param $neighbour i64)
        (local $scope i32) (local $group i32)
        (loop $scopes
            (call $write (i32.const 0) (local.get $scope))
            (local.set $scope (i32.and
                (i32.add (local.get $scope) (i32.const 1)) (i32.const 511)))
            (local.set $group (i32.const 900))
            (loop $joins
                (call $write (i32.const 16) (local.get $group))
                (drop (call $join (i32.const 0) (i32.const 4) (i32.const 16) (i32.const 4)
                    (call $process_id) (i32.const 128)))
                (br_if $joins (local.tee $group (i32.sub (local.get $group) (i32.const 1)))))
            (local.set $group (i32.const 900))
            (loop $leaves
                (call $write (i32.const 16) (local.get $group))
                (drop (call $leave (i32.const 0) (i32.const 4) (i32.const 16) (i32.const 4)
                    (call $process_id)))
                (br_if $leaves (local.tee $group (i32.sub (local.get $group) (i32.const 1)))))
            (br $scopes))))
