//! The program `cargo-lunatic`, which cargo runs as `cargo lunatic`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lunatic_cli::cargo_main()
}
