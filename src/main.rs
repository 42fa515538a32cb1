//! The program `lunatic`.

use std::process::ExitCode;

/// The system's allocator calls the kernel for every 128 KiB that a thread's heap
/// grows by, which was a sixth of the time of spawning a hundred thousand
/// processes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lunatic_cli::main_of_commit(option_env!("LUNATIC_COMMIT"))
}
