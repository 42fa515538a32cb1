//! The program `lunatic`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: lunatic_allocator::Allocator = lunatic_allocator::Allocator;

fn main() -> ExitCode {
    lunatic_allocator::collect_rarely();
    lunatic_cli::when_memory_is_short(lunatic_allocator::give_back);
    lunatic_cli::main_of_commit(option_env!("LUNATIC_COMMIT"))
}
