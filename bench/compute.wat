;; What computes and calls nobody: calls, bytes, floating point numbers.
;;
;; Each kernel takes a parameter and leaves its result, an i64, at address 0.
;; `lunatic-bench` runs them on plain wasmtime and on Lunatic's engine.
(module
  (memory (export "memory") 128)

  ;; The Fibonacci number at $index.
  (func (export "fib") (param $index i32)
    (i64.store (i32.const 0) (i64.extend_i32_u (call $fib (local.get $index)))))

  (func $fib (param $index i32) (result i32)
    (if (i32.lt_u (local.get $index) (i32.const 2))
      (then (return (local.get $index))))
    (i32.add
      (call $fib (i32.sub (local.get $index) (i32.const 1)))
      (call $fib (i32.sub (local.get $index) (i32.const 2)))))

  ;; How many primes there are below $limit. At address 8 + n is 1 if n is none.
  (func (export "sieve") (param $limit i32)
    (local $number i32)
    (local $multiple i32)
    (local $primes i64)
    (memory.fill (i32.const 8) (i32.const 0) (local.get $limit))
    (local.set $number (i32.const 2))
    (loop $next
      (if (i32.lt_u (local.get $number) (local.get $limit))
        (then
          (if (i32.eqz (i32.load8_u offset=8 (local.get $number)))
            (then
              (local.set $primes (i64.add (local.get $primes) (i64.const 1)))
              (local.set $multiple (i32.shl (local.get $number) (i32.const 1)))
              (loop $strike
                (if (i32.lt_u (local.get $multiple) (local.get $limit))
                  (then
                    (i32.store8 offset=8 (local.get $multiple) (i32.const 1))
                    (local.set $multiple
                      (i32.add (local.get $multiple) (local.get $number)))
                    (br $strike))))))
          (local.set $number (i32.add (local.get $number) (i32.const 1)))
          (br $next))))
    (i64.store (i32.const 0) (local.get $primes)))

  ;; The sum of the product of two matrices of $size rows and columns: i + j and
  ;; i - j. They lie behind each other from address 64 on, and then the product.
  (func (export "matmul") (param $size i32)
    (local $i i32)
    (local $j i32)
    (local $k i32)
    (local $row i32) ;; how many bytes one is
    (local $matrix i32) ;; how many bytes one is
    (local $factor f64)
    (local $from i32)
    (local $to i32)
    (local $sum f64)
    (local.set $row (i32.shl (local.get $size) (i32.const 3)))
    (local.set $matrix (i32.mul (local.get $row) (local.get $size)))
    ;; Both, and zeros for the product.
    (loop $rows
      (local.set $j (i32.const 0))
      (loop $columns
        (local.set $to
          (i32.add
            (i32.mul (local.get $i) (local.get $row))
            (i32.shl (local.get $j) (i32.const 3))))
        (f64.store offset=64 (local.get $to)
          (f64.convert_i32_s (i32.add (local.get $i) (local.get $j))))
        (local.set $to (i32.add (local.get $to) (local.get $matrix)))
        (f64.store offset=64 (local.get $to)
          (f64.convert_i32_s (i32.sub (local.get $i) (local.get $j))))
        (local.set $to (i32.add (local.get $to) (local.get $matrix)))
        (f64.store offset=64 (local.get $to) (f64.const 0))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br_if $columns (i32.lt_u (local.get $j) (local.get $size))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $i) (local.get $size))))
    ;; Row by row, so that all is read in order.
    (local.set $i (i32.const 0))
    (loop $rows
      (local.set $k (i32.const 0))
      (loop $factors
        (local.set $factor
          (f64.load offset=64
            (i32.add
              (i32.mul (local.get $i) (local.get $row))
              (i32.shl (local.get $k) (i32.const 3)))))
        (local.set $from
          (i32.add (local.get $matrix) (i32.mul (local.get $k) (local.get $row))))
        (local.set $to
          (i32.add
            (i32.shl (local.get $matrix) (i32.const 1))
            (i32.mul (local.get $i) (local.get $row))))
        (local.set $j (i32.const 0))
        (loop $columns
          (f64.store offset=64 (local.get $to)
            (f64.add
              (f64.load offset=64 (local.get $to))
              (f64.mul (local.get $factor) (f64.load offset=64 (local.get $from)))))
          (local.set $from (i32.add (local.get $from) (i32.const 8)))
          (local.set $to (i32.add (local.get $to) (i32.const 8)))
          (local.set $j (i32.add (local.get $j) (i32.const 1)))
          (br_if $columns (i32.lt_u (local.get $j) (local.get $size))))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br_if $factors (i32.lt_u (local.get $k) (local.get $size))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $rows (i32.lt_u (local.get $i) (local.get $size))))
    ;; The sum.
    (local.set $from (i32.shl (local.get $matrix) (i32.const 1)))
    (local.set $to (i32.add (local.get $from) (local.get $matrix)))
    (loop $sum
      (local.set $sum (f64.add (local.get $sum) (f64.load offset=64 (local.get $from))))
      (local.set $from (i32.add (local.get $from) (i32.const 8)))
      (br_if $sum (i32.lt_u (local.get $from) (local.get $to))))
    (i64.store (i32.const 0) (i64.trunc_f64_s (local.get $sum)))))
