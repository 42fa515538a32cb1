// Waits for a message, three calls deep.
//
// lunatic-cli/tests/calls.rs looks at its calls, and at those of the same in Rust and C.

@external("lunatic::message", "receive")
declare function receive(tags: usize, length: u32, timeout: u64): u32;

// Each goes on by way of a variable, so that the compiler does not put one into another.
let last: () => u32 = waits_here;
let next: () => u32 = between;

function waits_here(): u32 {
  return receive(0, 0, u64.MAX_VALUE) + 1;
}

function between(): u32 {
  return last() + 1;
}

function outermost(): u32 {
  return next() + 1;
}

let first: () => u32 = outermost;
if (first() == 0) {
  first = next;
  next = last;
  last = first;
}
