(module (table $t 10 100 funcref) (elem (i32.const 0) $f $g) (type $v (func)) (func $f (call_indirect (type $v) (i32.const 1))) (func $g (call_indirect (type $v) (i32.const 0)))
  (func (export "main") (call $f)) (func (export "grow") (drop (table.grow $t (ref.func $g) (i32.const 5))) (table.fill $t (i32.const 0) (ref.null func) (i32.const 3))))
