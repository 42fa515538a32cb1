//! What the book in docs/book shows is what is in the files, and what it tells to paste works.
//!
//! Programs are run if `cargo xtask guests` has built them, and hosts if cargo has built the
//! examples. What cannot be run is skipped loudly.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod harness;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use harness::document::{Block, FENCE, anchors, blocks, links, prose};
use harness::pasted::Shell;
use harness::program::Guests;
use lunatic_testkit::built::rust_guests;
use lunatic_testkit::skipped;
use tempfile::TempDir;

/// What stands above a block that is to be run.
const RUN: &str = "<!-- run -->";

/// Where the chapters are, from the root of the repository.
const CHAPTERS: &str = "docs/book/src";

/// Where the root of the repository is, from a chapter.
const ROOT: &str = "../../../";

/// Where the programs are, from the root.
const GUESTS: &str = "guests/book/src/bin";

/// Where the hosts are, from the root.
const HOSTS: &str = "lunatic-cli/examples";

const SUMMARY: &str = "SUMMARY.md";

/// A file of the book.
struct Page {
    name: String,
    text: String,
}

/// A program that a chapter shows.
struct Shown {
    /// Its file, from the root.
    file: String,
    source: String,
    /// What it is said to print.
    output: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The names of the files in a directory of the repository, with this extension.
fn names_in(directory: &str, extension: &str) -> BTreeSet<String> {
    let paths = fs::read_dir(root().join(directory)).unwrap();
    let paths = paths.map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|it| it == extension));
    let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.map(name).collect()
}

/// All files of the book, the summary among them.
fn pages() -> Vec<Page> {
    let page = |name: String| Page {
        text: fs::read_to_string(root().join(CHAPTERS).join(&name)).unwrap(),
        name,
    };
    let pages: Vec<_> = names_in(CHAPTERS, "md").into_iter().map(page).collect();
    assert!(pages.len() > 1, "the book has chapters");
    pages
}

/// The programs of a page. Each block in Rust stands below a line that links to its file, and
/// directly above what it prints.
fn shown_on(page: &Page) -> Vec<Shown> {
    let blocks = blocks(&page.text);
    let shown = |(at, program): (usize, &Block<'_>)| {
        let above = program.above;
        let file = links(above).next().and_then(|link| link.strip_prefix(ROOT));
        let Some(file) = file else {
            panic!("{}: no link to a file in {above:?}", page.name);
        };
        let output = blocks.get(at + 1);
        let output = output.filter(|block| block.language == "text" && block.above == FENCE);
        let Some(output) = output else {
            panic!("{}: what {file} prints is not below it", page.name);
        };
        Shown {
            file: file.to_owned(),
            source: program.text.to_owned(),
            output: output.text.to_owned(),
        }
    };
    let programs = blocks.iter().enumerate();
    let programs = programs.filter(|(_, block)| block.language == "rust");
    programs.map(shown).collect()
}

/// All programs of the book that are in this directory.
fn shown_of(directory: &str) -> Vec<Shown> {
    let shown = pages().iter().flat_map(shown_on).collect::<Vec<_>>();
    let of_directory =
        |shown: &Shown| Path::new(&shown.file).parent() == Some(Path::new(directory));
    let shown: Vec<_> = shown.into_iter().filter(of_directory).collect();
    assert!(!shown.is_empty(), "the book shows nothing of {directory}");
    shown
}

impl Shown {
    /// The name of the program.
    fn stem(&self) -> &str {
        let stem = Path::new(&self.file).file_stem();
        stem.unwrap().to_str().unwrap()
    }
}

#[test]
fn the_summary_names_every_chapter_and_nothing_else() {
    let chapters = names_in(CHAPTERS, "md");
    let summary = fs::read_to_string(root().join(CHAPTERS).join(SUMMARY)).unwrap();
    let named: Vec<_> = prose(&summary).flat_map(links).collect();
    let distinct: BTreeSet<_> = named.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(named.len(), distinct.len(), "a chapter twice in {named:?}");
    let is_chapter = |name: &String| name != SUMMARY;
    let chapters: BTreeSet<_> = chapters.into_iter().filter(is_chapter).collect();
    assert_eq!(distinct, chapters);
}

#[test]
fn no_link_to_a_file_or_heading_of_the_repository_is_dead() {
    let mut followed = 0;
    for Page { name, text } in pages() {
        let all = prose(&text).flat_map(links);
        for link in all.filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if path.is_empty() { name.as_str() } else { path };
            let path = root().join(CHAPTERS).join(path);
            assert!(path.exists(), "{name}: {link} leads to nothing");
            if !anchor.is_empty() {
                let there = fs::read_to_string(&path).unwrap();
                let is_there = anchors(&there).any(|it| it == anchor);
                assert!(is_there, "{name}: no heading for {link}");
            }
            followed += 1;
        }
    }
    assert!(followed > 0, "the book has links");
}

#[test]
fn every_program_is_shown_as_it_is_in_its_file() {
    for Shown { file, source, .. } in pages().iter().flat_map(shown_on) {
        let is = fs::read_to_string(root().join(&file)).unwrap();
        assert_eq!(source, is, "the book does not show {file} as it is");
    }
}

#[test]
fn every_program_of_the_book_is_in_one_chapter() {
    let shown = shown_of(GUESTS);
    let mut shown: Vec<_> = shown.iter().map(|shown| shown.stem()).collect();
    shown.sort_unstable();
    let there = names_in(GUESTS, "rs");
    let there: Vec<_> = there
        .iter()
        .map(|name| name.trim_end_matches(".rs"))
        .collect();
    assert_eq!(shown, there);
}

#[test]
fn every_program_prints_what_the_book_says() {
    let programs = shown_of(GUESTS);
    let modules: Vec<_> = programs
        .iter()
        .map(|it| format!("{}.wasm", it.stem()))
        .collect();
    let modules: Vec<_> = modules.iter().map(String::as_str).collect();
    let Some(built) = rust_guests(&modules) else {
        return;
    };
    // Each program runs in a directory of its own.
    let built = built.canonicalize().unwrap();
    for (program, module) in programs.iter().zip(modules) {
        let module = built.join(module);
        let guests = Guests::new();
        let ran = guests.run(&["run", "--timeout", "60s", module.to_str().unwrap()]);
        ran.code(0);
        assert_eq!(ran.out, program.output, "{} prints otherwise", program.file);
    }
}

#[test]
fn every_host_prints_what_the_book_says() {
    let Some(shell) = Shell::new(&[]) else {
        return;
    };
    let programs = Path::new(env!("CARGO_BIN_EXE_lunatic")).with_file_name("examples");
    let directory = TempDir::new().unwrap();
    for host in shown_of(HOSTS) {
        let program = programs.join(host.stem());
        if !program.is_file() {
            skipped(&format!("{} is not built as an example", host.file));
            continue;
        }
        let command = format!("'{}'\n", program.display());
        let ran = shell.paste(&command, directory.path(), &[]);
        ran.code(0);
        assert_eq!(ran.out, host.output, "{} prints otherwise", host.file);
    }
}

/// The blocks of a chapter are pasted one after the other, into a directory that has the
/// examples of the repository. The first command of a block that fails ends it.
#[test]
fn every_block_that_is_to_be_run_succeeds() {
    let Some(shell) = Shell::new(&["awk", "grep"]) else {
        return;
    };
    let mut pasted = 0;
    for Page { name, text } in pages() {
        let directory = TempDir::new().unwrap();
        let examples = root().join("examples");
        symlink(examples, directory.path().join("examples")).unwrap();
        let to_run = blocks(&text);
        let to_run = to_run.iter().filter(|block| block.above == RUN);
        let to_run: Vec<_> = to_run.filter(|block| block.language == "sh").collect();
        let marks = prose(&text).filter(|line| *line == RUN).count();
        assert_eq!(to_run.len(), marks, "{name}: a mark without a block in sh");
        for block in to_run {
            let ran = shell.paste(&format!("set -e\n{}", block.text), directory.path(), &[]);
            let (code, out, err) = (ran.code, &ran.out, &ran.err);
            assert_eq!(code, Some(0), "{name}:\n{}\n{out}\n{err}", block.text);
            pasted += 1;
        }
    }
    assert!(pasted > 0, "the book tells to paste something");
}
