//! Uses files as ordinary Rust programs do: `files DIRECTORY`.
//!
//! The directory must be empty and is empty again at the end. There is nothing
//! of Lunatic in here: the same source is compiled natively, and both must print
//! the same (lunatic-cli/tests/languages.rs).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

fn main() -> io::Result<()> {
    let directory = std::env::args().nth(1).expect("usage: files DIRECTORY");
    let directory = Path::new(&directory);
    text(&directory.join("poem.txt"))?;
    places(&directory.join("numbers.bin"))?;
    tree(directory)?;
    failures(directory);
    for name in ["poem.txt", "numbers.bin"] {
        fs::remove_file(directory.join(name))?;
    }
    println!("left: {:?}", names(directory)?);
    Ok(())
}

/// Writes lines, appends to them, and reads them.
fn text(path: &Path) -> io::Result<()> {
    fs::write(path, "Tyger Tyger, burning bright,\n")?;
    let mut file = OpenOptions::new().append(true).open(path)?;
    for line in ["In the forests of the night;", "Grüße & 🐯"] {
        writeln!(file, "{line}")?;
    }
    for (number, line) in BufReader::new(File::open(path)?).lines().enumerate() {
        println!("{number}: {}", line?);
    }
    println!("{:?}", fs::read_to_string(path)?.len());
    Ok(())
}

/// Reads and writes at places of a file, and changes its size and times.
fn places(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create_new(true).open(path)?;
    for number in 0..1000_u32 {
        file.write_all(&number.to_le_bytes())?;
    }
    let mut number = [0; 4];
    for place in [
        SeekFrom::Start(400),
        SeekFrom::Current(-8),
        SeekFrom::End(-4),
    ] {
        let offset = file.seek(place)?;
        file.read_exact(&mut number)?;
        println!("{offset}: {}", u32::from_le_bytes(number));
    }
    println!("at the end: {:?}", file.read(&mut number)?);
    let before = file.seek(SeekFrom::Current(-9999));
    println!(
        "before the start: {:?}",
        before.map_err(|error| error.kind())
    );
    file.set_len(10)?;
    file.set_modified(UNIX_EPOCH + Duration::from_millis(1_234_567_890_123))?;
    file.sync_all()?;
    let metadata = fs::metadata(path)?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH);
    println!("{} bytes, modified {modified:?}", metadata.len());
    Ok(())
}

/// Makes directories, fills, copies, moves, lists and removes them.
fn tree(directory: &Path) -> io::Result<()> {
    let tree = directory.join("tree");
    fs::create_dir_all(tree.join("a/b/c"))?;
    for number in 0..50 {
        fs::write(tree.join(format!("leaf-{number:02}")), number.to_string())?;
    }
    println!(
        "copied {} bytes",
        fs::copy(tree.join("leaf-42"), tree.join("a/copy"))?
    );
    fs::rename(tree.join("leaf-00"), tree.join("a/b/moved"))?;
    fs::hard_link(tree.join("leaf-01"), tree.join("a/second"))?;
    println!("{}", fs::read_to_string(tree.join("a/second"))?);
    println!("{:?}", names(&tree)?);
    println!("{:?}", names(&tree.join("a"))?);
    let kind = fs::symlink_metadata(tree.join("a"))?.file_type();
    println!("directory: {}, file: {}", kind.is_dir(), kind.is_file());
    fs::remove_dir_all(&tree)?;
    println!("gone: {}", !tree.try_exists()?);
    Ok(())
}

/// What does not work, and why.
fn failures(directory: &Path) {
    let poem = directory.join("poem.txt");
    let tell = |what, result: io::Result<()>| {
        println!("{what}: {:?}", result.map_err(|error| error.kind()));
    };
    tell("missing", fs::read(directory.join("nothing")).map(drop));
    tell("exists", File::create_new(&poem).map(drop));
    tell("exists", fs::create_dir(&poem));
    tell("no directory", fs::remove_dir(directory.join("nothing")));
}

/// The names in a directory in their order.
fn names(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().into());
    }
    names.sort_unstable();
    Ok(names)
}
