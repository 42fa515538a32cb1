//! `lunatic new`: a project that builds, runs and has a test.

mod workspace;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::command_line::output::print_line;
use crate::command_line::problem::Problem;
use crate::command_line::shell::quoted;
use crate::command_line::{doctor, init};

/// A project that is to be made.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// What kind of project.
    #[arg(long, value_enum, default_value_t = Template::Bin)]
    template: Template,

    /// Its directory, which must not be there yet; the last part is its name.
    path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Template {
    /// A program in Rust whose processes send each other messages.
    Bin,
    /// A TCP server in Rust with a process for each connection.
    Server,
    /// A worker in Rust under a supervisor, which a manifest describes.
    Supervised,
    /// A program in C whose processes send each other messages.
    C,
    /// The same in Go.
    Go,
    /// The same in AssemblyScript.
    #[value(name = "assemblyscript")]
    AssemblyScript,
}

/// A file of a project: its path and its text.
type File = (&'static str, &'static str);

/// What all projects in Rust have.
const RUST: [File; 3] = [
    (
        "Cargo.toml",
        include_str!("../../templates/rust/Cargo.toml.template"),
    ),
    (
        ".cargo/config.toml",
        include_str!("../../templates/rust/config.toml"),
    ),
    (".gitignore", include_str!("../../templates/rust/gitignore")),
];

const GO: [File; 5] = [
    ("main.go", include_str!("../../templates/go/main.go")),
    (
        "lunatic/lunatic.go",
        include_str!("../../templates/go/lunatic/lunatic.go"),
    ),
    ("go.mod", include_str!("../../templates/go/go.mod.template")),
    ("Makefile", include_str!("../../templates/go/Makefile")),
    (".gitignore", include_str!("../../templates/go/gitignore")),
];

const ASSEMBLYSCRIPT: [File; 5] = [
    (
        "main.ts",
        include_str!("../../templates/assemblyscript/main.ts"),
    ),
    (
        "lunatic.ts",
        include_str!("../../templates/assemblyscript/lunatic.ts"),
    ),
    (
        "asconfig.json",
        include_str!("../../templates/assemblyscript/asconfig.json"),
    ),
    (
        "package.json",
        include_str!("../../templates/assemblyscript/package.json.template"),
    ),
    (
        ".gitignore",
        include_str!("../../templates/assemblyscript/gitignore"),
    ),
];

impl Template {
    /// Whether cargo builds it.
    fn is_rust(self) -> bool {
        matches!(
            self,
            Template::Bin | Template::Server | Template::Supervised
        )
    }

    fn files(self) -> Vec<File> {
        let own: &[File] = match self {
            Template::Go => return GO.to_vec(),
            Template::AssemblyScript => return ASSEMBLYSCRIPT.to_vec(),
            Template::Bin => &[("src/main.rs", include_str!("../../templates/bin/main.rs"))],
            Template::Server => &[(
                "src/main.rs",
                include_str!("../../templates/server/main.rs"),
            )],
            Template::Supervised => &[
                (
                    "src/main.rs",
                    include_str!("../../templates/supervised/main.rs"),
                ),
                (
                    "app.toml",
                    include_str!("../../templates/supervised/app.toml"),
                ),
            ],
            Template::C => {
                return vec![
                    ("main.c", include_str!("../../templates/c/main.c")),
                    ("lunatic.h", include_str!("../../templates/c/lunatic.h")),
                    ("Makefile", include_str!("../../templates/c/Makefile")),
                    (".gitignore", include_str!("../../templates/c/gitignore")),
                ];
            }
        };
        RUST.iter().chain(own).copied().collect()
    }

    /// What its compiler lacks, and how to get it.
    fn missing_tool(self) -> Option<String> {
        let language = match self {
            Template::Bin | Template::Server | Template::Supervised => {
                return init::missing_target();
            }
            Template::C => "C",
            Template::Go => "Go",
            Template::AssemblyScript => "AssemblyScript",
        };
        doctor::missing_toolchain(language)
    }

    /// What one types next.
    fn next(self) -> &'static str {
        match self {
            Template::Bin | Template::Server => {
                "cargo run      # builds and runs it\n  cargo test     # runs its tests"
            }
            Template::Supervised => {
                "cargo test                      # runs its tests\n  \
                 cargo build && lunatic start app.toml"
            }
            Template::C | Template::Go => "make run      # builds and runs it\n  make test",
            Template::AssemblyScript => {
                "npm install   # the compiler\n  npm start     # builds and runs it\n  npm test"
            }
        }
    }
}

/// What a manifest has in a workspace that the project is no member of.
const STANDS_ALONE: &str = "
# It is compiled for another target than the workspace around it, and is no member of it.
[workspace]
";

/// Makes a project.
pub(crate) fn new(new: &New) -> Result<ExitCode, Problem> {
    let path = &new.path;
    let name = new.template.name(path)?;
    if path.exists() {
        return Err(
            Problem::new(format!("`{}` is there already", path.display())).help(
                "name a directory that is not there yet; in a project with a Cargo.toml, use \
                 `lunatic init`",
            ),
        );
    }
    for (file, text) in new.template.files() {
        write(&path.join(file), &text.replace("{{name}}", name))?;
    }
    if new.template.is_rust() && workspace::refuses(path) {
        let manifest = path.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap_or_default();
        write(&manifest, &format!("{text}{STANDS_ALONE}"))?;
    }
    let shown = path.to_string_lossy();
    let next = new.template.next();
    let directory = quoted(&shown);
    let mut text = format!("made `{shown}`\n\n  cd {directory}\n  {next}");
    if let Some(hint) = new.template.missing_tool() {
        text.push_str(&format!("\n\n{hint}"));
    }
    print_line(text)
}

impl Template {
    /// The names that no project can have in its language, each with what has it.
    fn taken(self) -> &'static [(&'static str, &'static [&'static str])] {
        match self {
            Template::Bin | Template::Server | Template::Supervised => &[
                ("of a package that the project needs", &DEPENDENCIES),
                ("of a library of Rust", &LIBRARIES),
                ("of a directory that cargo makes", &DIRECTORIES),
                ("that is a keyword of Rust", &KEYWORDS),
            ],
            Template::Go => &[(
                "of a directory that Go treats in a way of its own",
                &["vendor"],
            )],
            Template::AssemblyScript => &[("of a directory that npm makes", &["node_modules"])],
            Template::C => &[],
        }
    }

    /// The name of a project in a directory, if it can be that of a package.
    fn name(self, path: &Path) -> Result<&str, Problem> {
        let name = plain_name(path)?;
        let in_code = name.replace('-', "_");
        let mut taken = self.taken().iter();
        match taken.find(|(_, names)| names.contains(&&*in_code)) {
            None => Ok(name),
            Some((why, _)) => {
                Err(not_a_name(name)
                    .help(format!("it is a name {why}; take `my-{name}` for example")))
            }
        }
    }
}

fn not_a_name(name: &str) -> Problem {
    Problem::new(format!("`{name}` cannot be the name of a project"))
}

/// The last part of a path, if it has only letters, digits, and what joins words.
fn plain_name(path: &Path) -> Result<&str, Problem> {
    let Some(name) = path.file_name() else {
        let shown = path.display();
        return Err(
            Problem::new(format!("`{shown}` names no new directory")).help(
                "name a directory that is not there yet; in a project with a Cargo.toml, use \
                 `lunatic init`",
            ),
        );
    };
    let is_letter = |char: char| char.is_ascii_alphabetic();
    let is_inner = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
    let is_name = |name: &&str| name.starts_with(is_letter) && name.chars().all(is_inner);
    let shown = name.to_string_lossy();
    name.to_str().filter(is_name).ok_or_else(|| {
        not_a_name(&shown)
            .help("take a letter from a to z, and then such letters, digits, `-` and `_`")
    })
}

const DEPENDENCIES: [&str; 2] = ["lunatic", "serde"];

const LIBRARIES: [&str; 5] = ["alloc", "core", "proc_macro", "std", "test"];

const DIRECTORIES: [&str; 4] = ["build", "deps", "examples", "incremental"];

/// In the order of the reference of Rust: those in use, and the reserved ones.
#[rustfmt::skip]
const KEYWORDS: [&str; 51] = [
    "as", "break", "const", "continue", "crate", "else", "enum", "extern", "false", "fn", "for", "if",
    "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "Self",
    "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where", "while", "async",
    "await", "dyn", "abstract", "become", "box", "do", "final", "gen", "macro", "override", "priv",
    "try", "typeof", "unsized", "virtual",
];

fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let directory = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| {
            Problem::new(format!("cannot write `{}`: {error}", path.display()))
                .help("name a directory where you may write, and with space left")
        })
}
