;; Says every second how often it has ticked, and can be exchanged for another version
;; meanwhile. README.md says what to type.
(module
  (import "lunatic::reload" "offer" (func $offer (param i32 i32 i64)))
  (import "lunatic::reload" "arm" (func $arm (result i64)))
  (import "lunatic::reload" "hand_over" (func $hand_over (param i64 i32) (result i32)))
  (import "lunatic::reload" "accept" (func $accept))
  (import "lunatic::error" "drop" (func $error_drop (param i64)))
  (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
  (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
  (import "lunatic::message" "read_data" (func $read_data (param i32 i32) (result i32)))
  (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  (data (i32.const 0) "ticker")       ;; the kind of the process
  (data (i32.const 16) "v1: tick ")   ;; what each line begins with
  ;; At 64 there is an iovec for fd_write, at 96 the digits of a number are written, at 112
  ;; the id of an error, and at 128 the state: the count, a number of 8 bytes. Nothing else
  ;; crosses to another version.

  ;; Where a new process begins.
  (func (export "_start")
    (call $run))

  ;; Where a process goes on that ran another version. The name says that this function
  ;; takes over a `ticker` whose state is of version 1. It finds the state in scratch; if
  ;; it trapped before it calls `accept`, the old version would go on.
  (func (export "_lunatic_reload_1_ticker")
    (drop (call $read_data (i32.const 128) (i32.const 8)))
    (call $accept)
    (call $run))

  (func $run
    ;; This process is a `ticker`, and writes its state in version 1.
    (call $offer (i32.const 0) (i32.const 6) (i64.const 1))
    (loop $again
      (call $safe_point)
      ;; Ends early if another version becomes current meanwhile: `$safe_point` has said
      ;; that it may.
      (call $sleep_ms (i64.const 1000))
      (i64.store (i32.const 128) (i64.add (i64.load (i32.const 128)) (i64.const 1)))
      (call $say (i64.load (i32.const 128)))
      (br $again)))

  ;; Hands over to the current version, if this process does not run it.
  (func $safe_point (local $version i64)
    (loop $again
      ;; In which version the state is wanted. -1: in none, and from now on the next wait
      ;; ends early if that changes.
      (local.set $version (call $arm))
      (if (i64.ge_s (local.get $version) (i64.const 0))
        (then
          (call $create_data (i64.const 0) (i64.const 8))
          (drop (call $write_data (i32.const 128) (i32.const 8)))
          ;; Only returns if nobody has taken over; 1 comes with an error, and the runtime
          ;; has told it to whoever wanted the reload.
          (if (i32.eq (call $hand_over (local.get $version) (i32.const 112)) (i32.const 1))
            (then (call $error_drop (i64.load (i32.const 112)))))
          ;; There may be yet another version; and the wait has to be armed again.
          (br $again)))))

  ;; Writes the beginning of a line, a number and the end of the line.
  (func $say (param $number i64) (local $at i32)
    ;; The digits, the last first, in front of the end of the line at 111.
    (local.set $at (i32.const 111))
    (i32.store8 (local.get $at) (i32.const 10))
    (loop $digits
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
      (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
      (br_if $digits (i64.ne (local.get $number) (i64.const 0))))
    (i32.store (i32.const 64) (i32.const 16))
    (i32.store (i32.const 68) (i32.const 9))
    (i32.store (i32.const 72) (local.get $at))
    (i32.store (i32.const 76) (i32.sub (i32.const 112) (local.get $at)))
    (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 2) (i32.const 80)))))
