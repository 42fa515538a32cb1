;; `ruby PROGRAM ARGUMENT...`, by what the module of Ruby exports.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "ruby" "memory" (memory 1))
  (import "ruby" "_initialize" (func $initialize))
  (import "ruby" "cabi_realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
  (import "ruby" "ruby-init: func(args: list<string>) -> ()" (func $init (param i32 i32)))
  (import "ruby" "rb-eval-string-protect: func(str: string) -> tuple<handle<rb-abi-value>, s32>"
    (func $eval (param i32 i32) (result i32)))

  ;; What Ruby is given before the arguments: `-e` keeps it from reading a program itself.
  (data $options "ruby\00-EUTF-8\00-e0\00--\00")
  (global $options_length i32 (i32.const 20))
  (data $load
    "begin; if file = ARGV.shift; $0 = file; load file.start_with?('/') ? file : './' + file; "
    "else eval $stdin.read, TOPLEVEL_BINDING, '-'; end; code = 0; rescue SystemExit => e; "
    "code = e.status; rescue Exception => e; $stderr.print e.full_message; code = 1; "
    "end; $stdout.flush; exit! code")
  (global $load_length i32 (i32.const 284))

  (func $allocate (param $bytes i32) (result i32)
    (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (local.get $bytes)))

  ;; Appends a text, which ends with a zero, to a list of texts and lengths: `$at` is the end of the list.
  ;; The zero is counted. Returns the end of the text.
  (func $push (param $at i32) (param $text i32) (result i32)
    (local $end i32)
    (local.set $end (local.get $text))
    (loop $next
      (local.set $end (i32.add (local.get $end) (i32.const 1)))
      (br_if $next (i32.load8_u (i32.sub (local.get $end) (i32.const 1)))))
    (i32.store (local.get $at) (local.get $text))
    (i32.store offset=4 (local.get $at) (i32.sub (local.get $end) (local.get $text)))
    (local.get $end))

  (func (export "_start")
    (local $sizes i32) (local $count i32) (local $arguments i32) (local $list i32) (local $text i32)
    (local $at i32)
    (call $initialize)
    (local.set $sizes (call $allocate (i32.const 8)))
    (drop (call $args_sizes_get (local.get $sizes) (i32.add (local.get $sizes) (i32.const 4))))
    (local.set $count (i32.load (local.get $sizes)))
    (local.set $arguments (call $allocate (i32.shl (local.get $count) (i32.const 2))))
    (drop (call $args_get (local.get $arguments)
      (call $allocate (i32.load offset=4 (local.get $sizes)))))

    ;; The four texts of the options, then the arguments without the name of the program.
    (local.set $list
      (call $allocate (i32.shl (i32.add (local.get $count) (i32.const 3)) (i32.const 3))))
    (local.set $text (call $allocate (global.get $options_length)))
    (memory.init $options (local.get $text) (i32.const 0) (global.get $options_length))
    (local.set $at (local.get $list))
    (loop $next
      (local.set $text (call $push (local.get $at) (local.get $text)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next
        (i32.lt_u (local.get $at) (i32.add (local.get $list) (i32.const 32)))))
    (block $done
      (loop $next
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br_if $done (i32.le_s (local.get $count) (i32.const 0)))
        (local.set $arguments (i32.add (local.get $arguments) (i32.const 4)))
        (drop (call $push (local.get $at) (i32.load (local.get $arguments))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $next)))
    (call $init
      (local.get $list)
      (i32.shr_u (i32.sub (local.get $at) (local.get $list)) (i32.const 3)))

    (local.set $text (call $allocate (global.get $load_length)))
    (memory.init $load (local.get $text) (i32.const 0) (global.get $load_length))
    (drop (call $eval (local.get $text) (global.get $load_length)))
    ;; The program that is given to it ends the process itself.
    (call $proc_exit (i32.const 1))))
