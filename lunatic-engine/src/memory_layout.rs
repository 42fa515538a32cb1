//! How memories lie in the address space.

/// How memories lie in the address space, and so what keeps an instance inside of its
/// memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MemoryLayout {
    /// Memories lie close together, and compiled code compares every address with
    /// the size of the memory: a million processes.
    Dense,
    /// Every memory has 4 GiB of address space to itself, of which the processor
    /// refuses what the memory has not grown to: nothing is compared, and there is
    /// room for some 16 000 memories.
    Guarded,
}
