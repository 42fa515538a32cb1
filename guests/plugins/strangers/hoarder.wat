;; Grows its memory for as long as it gets more, and then fails.
(module
    (memory (export "memory") 1)
    (func (export "run")
        (loop $again
            (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        unreachable))
