(module (global $g (mut i64) (i64.const 1)) (func $many (param i32) (result i32 i64 f64) (block (result i32 i64 f64) (br_table 0 0 0 (i32.const 1) (i64.const 2) (f64.const 3) (local.get 0))))
  (func (export "main") (call $many (i32.const 7)) (drop) (global.set $g) (drop)) (func (export "trap") unreachable) (func (export "deep") (call 3)))
