;; The least a process can be: one page of memory and no library.
;;
;; `lunatic run bench/minimal.wat MODE COUNT` with the modes spawn, ping, flood
;; and live of guests/bench. Each message carries a number of eight bytes.
(module
  (import "lunatic::process" "spawn"
    (func $spawn (param i64 i64 i64 i32 i32 i32 i32 i32) (result i32)))
  (import "lunatic::process" "process_id" (func $process_id (result i64)))
  (import "lunatic::message" "create_data" (func $create_data (param i64 i64)))
  (import "lunatic::message" "write_data" (func $write_data (param i32 i32) (result i32)))
  (import "lunatic::message" "read_data" (func $read_data (param i32 i32) (result i32)))
  (import "lunatic::message" "send" (func $send (param i64) (result i32)))
  (import "lunatic::message" "receive" (func $receive (param i32 i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)

  ;; 0x000: the names of what is measured and of entry functions
  (data (i32.const 0x000) "spawnpingfloodreadygreetermemberechosource")
  ;; 0x040: an argument record: the type i64 and a value
  (data (i32.const 0x040) "\7e")
  ;; 0x060: the id of the process spawned last
  ;; 0x068: the number sent or received last
  ;; 0x070: the time
  ;; 0x080: an I/O vector, and how many bytes were written or read
  ;; 0x100: the line to be printed
  ;; 0x200: the addresses of the arguments; 0x400: their text

  ;; Where the line ends.
  (global $line_end (mut i32) (i32.const 0x100))

  (func (export "_start")
    (local $mode i32)
    (local $count i64)
    (drop (call $args_get (i32.const 0x200) (i32.const 0x400)))
    (local.set $mode (i32.load8_u (i32.load (i32.const 0x204))))
    (local.set $count (call $parse (i32.load (i32.const 0x208))))
    (if (i32.eq (local.get $mode) (i32.const 0x73)) ;; s
      (then (call $measure_spawn (local.get $count)) (return)))
    (if (i32.eq (local.get $mode) (i32.const 0x70)) ;; p
      (then (call $measure_ping (local.get $count)) (return)))
    (if (i32.eq (local.get $mode) (i32.const 0x66)) ;; f
      (then (call $measure_flood (local.get $count)) (return)))
    (if (i32.eq (local.get $mode) (i32.const 0x6c)) ;; l
      (then (call $keep_alive (local.get $count)) (return)))
    (unreachable))

  ;; Spawns a process and hears one message from it, again and again.
  (func $measure_spawn (param $count i64)
    (local $start i64)
    (local.set $start (call $now))
    (call $spawn_and_hear (local.get $count) (i32.const 0x13) (i32.const 7))
    (call $print (i32.const 0x00) (i32.const 5) (local.get $count) (local.get $start)))

  ;; Sends a number to and fro.
  (func $measure_ping (param $count i64)
    (local $partner i64)
    (local $start i64)
    (local $number i64)
    (local.set $partner (call $spawn_child (i32.const 0x20) (i32.const 4)))
    (local.set $start (call $now))
    (loop $next
      (if (i64.lt_u (local.get $number) (local.get $count))
        (then
          (call $send_number (local.get $partner) (local.get $number))
          (call $expect (local.get $number))
          (local.set $number (i64.add (local.get $number) (i64.const 1)))
          (br $next))))
    (call $print (i32.const 0x05) (i32.const 4) (local.get $count) (local.get $start)))

  ;; Takes what another process sends as fast as it can.
  (func $measure_flood (param $count i64)
    (local $start i64)
    (local $number i64)
    (local.set $start (call $now))
    (call $send_number
      (call $spawn_child (i32.const 0x24) (i32.const 6)) (local.get $count))
    (loop $next
      (if (i64.lt_u (local.get $number) (local.get $count))
        (then
          (call $expect (local.get $number))
          (local.set $number (i64.add (local.get $number) (i64.const 1)))
          (br $next))))
    (call $print (i32.const 0x09) (i32.const 5) (local.get $count) (local.get $start)))

  ;; Keeps processes alive until somebody ends the standard input.
  (func $keep_alive (param $count i64)
    (local $start i64)
    (local.set $start (call $now))
    (call $spawn_and_hear (local.get $count) (i32.const 0x1a) (i32.const 6))
    (call $print (i32.const 0x0e) (i32.const 5) (local.get $count) (local.get $start))
    (i32.store (i32.const 0x80) (i32.const 0x100))
    (i32.store (i32.const 0x84) (i32.const 1))
    (drop (call $fd_read (i32.const 0) (i32.const 0x80) (i32.const 1) (i32.const 0x88))))

  (func (export "greeter") (param $parent i64)
    (call $send_number (local.get $parent) (i64.const 0)))

  ;; Says that it is there, waits for a number and brings it back.
  (func (export "member") (param $parent i64)
    (call $send_number (local.get $parent) (i64.const 0))
    (call $send_number (local.get $parent) (call $receive_number)))

  (func (export "echo") (param $partner i64)
    (loop $forever
      (call $send_number (local.get $partner) (call $receive_number))
      (br $forever)))

  ;; Sends as many numbers as it is told to.
  (func (export "source") (param $sink i64)
    (local $count i64)
    (local $number i64)
    (local.set $count (call $receive_number))
    (loop $next
      (if (i64.lt_u (local.get $number) (local.get $count))
        (then
          (call $send_number (local.get $sink) (local.get $number))
          (local.set $number (i64.add (local.get $number) (i64.const 1)))
          (br $next)))))

  (func $spawn_and_hear (param $count i64) (param $entry i32) (param $length i32)
    (loop $next
      (if (i64.ne (local.get $count) (i64.const 0))
        (then
          (drop (call $spawn_child (local.get $entry) (local.get $length)))
          (call $expect (i64.const 0))
          (local.set $count (i64.sub (local.get $count) (i64.const 1)))
          (br $next)))))

  ;; Spawns a process that knows who spawned it.
  (func $spawn_child (param $entry i32) (param $length i32) (result i64)
    (i64.store (i32.const 0x41) (call $process_id))
    (if (call $spawn (i64.const 0) (i64.const -1) (i64.const -1)
          (local.get $entry) (local.get $length)
          (i32.const 0x40) (i32.const 17) (i32.const 0x60))
      (then (unreachable)))
    (i64.load (i32.const 0x60)))

  (func $send_number (param $to i64) (param $number i64)
    (i64.store (i32.const 0x68) (local.get $number))
    (call $create_data (i64.const 0) (i64.const 8))
    (drop (call $write_data (i32.const 0x68) (i32.const 8)))
    (drop (call $send (local.get $to))))

  (func $receive_number (result i64)
    (drop (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))
    (drop (call $read_data (i32.const 0x68) (i32.const 8)))
    (i64.load (i32.const 0x68)))

  (func $expect (param $number i64)
    (if (i64.ne (call $receive_number) (local.get $number)) (then (unreachable))))

  ;; The monotonic clock, in nanoseconds.
  (func $now (result i64)
    (drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 0x70)))
    (i64.load (i32.const 0x70)))

  ;; The decimal number at an address, up to a zero byte.
  (func $parse (param $address i32) (result i64)
    (local $number i64)
    (loop $next
      (if (i32.load8_u (local.get $address))
        (then
          (local.set $number
            (i64.add
              (i64.mul (local.get $number) (i64.const 10))
              (i64.sub (i64.load8_u (local.get $address)) (i64.const 0x30))))
          (local.set $address (i32.add (local.get $address) (i32.const 1)))
          (br $next))))
    (local.get $number))

  ;; Prints a name, a count and the nanoseconds since the start in one line.
  (func $print (param $name i32) (param $length i32) (param $count i64) (param $start i64)
    (local $time i64)
    (local.set $time (i64.sub (call $now) (local.get $start)))
    (memory.copy (global.get $line_end) (local.get $name) (local.get $length))
    (global.set $line_end (i32.add (global.get $line_end) (local.get $length)))
    (call $append (i32.const 0x20))
    (call $append_number (local.get $count))
    (call $append (i32.const 0x20))
    (call $append_number (local.get $time))
    (call $append (i32.const 0x0a))
    (i32.store (i32.const 0x80) (i32.const 0x100))
    (i32.store (i32.const 0x84) (i32.sub (global.get $line_end) (i32.const 0x100)))
    (drop (call $fd_write (i32.const 1) (i32.const 0x80) (i32.const 1) (i32.const 0x88))))

  (func $append_number (param $number i64)
    (if (i64.ge_u (local.get $number) (i64.const 10))
      (then (call $append_number (i64.div_u (local.get $number) (i64.const 10)))))
    (call $append
      (i32.add (i32.const 0x30)
        (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10))))))

  (func $append (param $byte i32)
    (i32.store8 (global.get $line_end) (local.get $byte))
    (global.set $line_end (i32.add (global.get $line_end) (i32.const 1)))))
