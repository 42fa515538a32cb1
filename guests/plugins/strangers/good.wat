;; Does its work and ends.
(module
    (memory (export "memory") 1)
    (func (export "run")))
