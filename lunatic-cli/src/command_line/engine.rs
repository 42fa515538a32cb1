//! The settings of the engine, which commands that run guests share.

use clap::{Args, ValueEnum};
use lunatic_engine::Geometry;

/// How modules are compiled, and what keeps their processes in their memories.
#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(crate) struct Engine {
    /// Compile anew, and do not keep the result.
    #[arg(long)]
    pub(crate) no_cache: bool,

    /// What keeps processes inside of their memories.
    #[arg(long, value_enum, default_value_t = Memory::Auto)]
    pub(crate) memory: Memory,

    /// The most memory that the program takes, for example 512M or 4G; by default four
    /// fifths of what the machine or the control group has.
    ///
    /// From nine tenths of it on guests are refused more memory; shortly below it,
    /// processes are killed.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_memory: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Memory {
    /// The processor for 128 processes, and checks in the code for those beyond.
    Auto,
    /// Checks in the code: a million processes.
    Dense,
    /// The processor: somewhat faster code, some 16 000 processes.
    Guarded,
}

impl From<Memory> for Option<Geometry> {
    fn from(memory: Memory) -> Option<Geometry> {
        match memory {
            Memory::Auto => None,
            Memory::Dense => Some(Geometry::Dense),
            Memory::Guarded => Some(Geometry::Guarded),
        }
    }
}

/// A number of bytes, perhaps with one of the suffixes K, M, G, each 1024 times the one
/// before; `KiB` is the same as `K`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|suffix: char| suffix.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "k" | "K" | "KiB" => 1 << 10,
        "m" | "M" | "MiB" => 1 << 20,
        "g" | "G" | "GiB" => 1 << 30,
        _ => return Err(format!("`{text}` is no size; write one like 512M or 4G")),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("`{text}` is no size; write one like 512M or 4G"))?;
    let bytes = number.checked_mul(unit).ok_or("that is too large")?;
    /// Less is used up before the first process.
    const LEAST: u64 = 64 << 20;
    match bytes >= LEAST {
        true => Ok(bytes),
        false => Err("the runtime takes 64M at least".to_owned()),
    }
}
