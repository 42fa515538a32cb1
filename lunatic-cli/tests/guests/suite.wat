;; Tests of every kind, as the attribute #[lunatic::test] exports them.
(module
  (import "lunatic::process" "process_id" (func $process_id (result i64)))
  (import "lunatic::process" "environment_id" (func $environment_id (result i64)))
  (import "lunatic::process" "sleep_ms" (func $sleep_ms (param i64)))
  (import "lunatic::process" "kill" (func $kill (param i64)))
  (import "lunatic::process" "spawn"
    (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
  (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
  (import "lunatic::message" "send" (func $send (param i64) (result i32)))
  (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)

  ;; Texts end with a zero.
  (data (i32.const 0x400) "said by the test\n\00")
  (data (i32.const 0x500) "said by the child\n\00")
  (data (i32.const 0x600)
    "thread '<unnamed>' panicked at 'the old #1 boom', src/lib.rs:1:2\n"
    "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\00")
  (data (i32.const 0x700)
    "\nthread 'main' (1) panicked at src/lib.rs:1:2:\nthe new boom\nof two lines\n"
    "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\00")
  (data (i32.const 0x800) "speak")
  (data (i32.const 0x810) "spin")

  (func $print (param $fd i32) (param $text i32)
    (local $length i32)
    (block $counted
      (loop $count
        (br_if $counted
          (i32.eqz (i32.load8_u (i32.add (local.get $text) (local.get $length)))))
        (local.set $length (i32.add (local.get $length) (i32.const 1)))
        (br $count)))
    (i32.store (i32.const 0) (local.get $text))
    (i32.store (i32.const 4) (local.get $length))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))

  (func $panic (param $text i32)
    (call $print (i32.const 2) (local.get $text))
    unreachable)

  (func $spawn_child (param $name i32) (param $length i32)
    (drop (call $spawn
      (i64.const 0) (i64.const -1) (i64.const -1)
      (local.get $name) (local.get $length)
      (i32.const 0) (i32.const 0)
      (i32.const 16))))

  ;; A child that prints and then sends a message to the first process.
  (func (export "speak")
    (call $print (i32.const 1) (i32.const 0x500))
    (call $create_data (i64.const 0) (i64.const 0))
    (drop (call $send (i64.const 1))))

  ;; A child that never ends.
  (func (export "spin")
    (loop $again (br $again)))

  ;; What cargo runs has this too.
  (func (export "_start")
    (call $print (i32.const 1) (i32.const 0x400)))

  (func (export "#lunatic_test_ok::returns"))

  (func (export "#lunatic_test_ok::prints")
    (call $print (i32.const 1) (i32.const 0x400)))

  (func (export "#lunatic_test_ok::is_process_1_of_environment_0")
    (if (i64.ne (call $process_id) (i64.const 1)) (then unreachable))
    (if (i64.ne (call $environment_id) (i64.const 0)) (then unreachable)))

  (func (export "#lunatic_test_ok::leaves_a_child_behind")
    (call $spawn_child (i32.const 0x810) (i32.const 4)))

  (func (export "#lunatic_test_#panic_#ok::panics")
    (call $panic (i32.const 0x600)))

  (func (export "#lunatic_test_#panic_old \\#1 boom#ok::panics_the_old_way")
    (call $panic (i32.const 0x600)))

  (func (export "#lunatic_test_#panic_new boom\nof two#ok::panics_the_new_way")
    (call $panic (i32.const 0x700)))

  (func (export "#lunatic_test_#ignore_rest::returns"))

  (func (export "#lunatic_test_pace::a_sleeps")
    (call $sleep_ms (i64.const 400)))

  (func (export "#lunatic_test_pace::b_returns"))

  (func (export "#lunatic_test_bad::traps")
    (call $print (i32.const 1) (i32.const 0x400))
    unreachable)

  (func (export "#lunatic_test_bad::is_killed")
    (call $kill (i64.const 1))
    (call $sleep_ms (i64.const 60000)))

  (func (export "#lunatic_test_bad::panics")
    (call $panic (i32.const 0x700)))

  (func (export "#lunatic_test_bad::has_a_child")
    (call $print (i32.const 1) (i32.const 0x400))
    (call $spawn_child (i32.const 0x800) (i32.const 5))
    (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
    (call $panic (i32.const 0x600)))

  (func (export "#lunatic_test_bad::takes_an_argument") (param i32))

  (func (export "#lunatic_test_#panic_#bad::does_not_panic"))

  (func (export "#lunatic_test_#panic_bang#bad::panics_otherwise")
    (call $panic (i32.const 0x700)))

  (func (export "#lunatic_test_#panic_boom#bad::traps_without_a_panic")
    unreachable))
