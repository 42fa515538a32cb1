//! The directory in which compiled modules are kept for the next start.
//!
//! For each module there are two kinds of files. The key of its summary is the bytes that it was
//! loaded from and the checks that it has passed: a module that was admitted under other limits has
//! no summary. The key of its code is the bytes and the way in which they are compiled, once for
//! each way. So a module that is loaded again is neither parsed nor rewritten, and its code is
//! mapped, not read.
//!
//! # Who is trusted
//!
//! Mapped code is run. So a file is only used if no other user can have written it, it was not
//! written to since it was complete, and it contains the key that it is kept for: see
//! [`SealedFile`]. Programs with the rights of this user can replace it, as they can replace the
//! programs of this user. Guests have no access to the directory, whatever directories around it
//! they have; `lunatic-fs` ensures that.
//!
//! # Layout
//!
//! - [`CodeCache`]: finds, stores and removes files.
//! - `key`: [`Key`], the keys of files.
//! - `code_file`: the format of a file with code.
//! - `mapped`: code that is mapped.
//! - `sealed_file`, a file of this crate: files that can be trusted.

mod code_file;
mod key;
mod mapped;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::arena::Arena;
pub(crate) use crate::code_cache::key::Key;
use crate::compiled_module::CompiledModule;
use crate::module_summary::ModuleSummary;
use crate::sealed_file::{self, SealedFile};

/// The largest size of all files together, in bytes; above it, the files that were not used for the
/// longest time are removed.
const MAX_BYTES: u64 = 512 << 20;

/// A directory of compiled modules. What cannot be read or kept is no reason not to run.
#[derive(Debug)]
pub(crate) struct CodeCache {
    directory: PathBuf,
    max_bytes: u64,
    hits: AtomicU64,
    misses: AtomicU64,
    /// Whether it was logged that modules are not kept.
    has_told: AtomicBool,
}

/// The two kinds of files.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Summary,
    Code,
}

/// The highest number of files, of which a module has two: all are read when another one is stored.
const MAX_FILES: usize = 4096;

impl CodeCache {
    /// The modules that are kept in a directory, which need not be there yet. Nothing is done
    /// to it before a module is looked for.
    pub(crate) fn new(directory: &Path) -> CodeCache {
        CodeCache::of_size(directory, MAX_BYTES)
    }

    fn of_size(directory: &Path, max_bytes: u64) -> CodeCache {
        CodeCache {
            directory: directory.to_owned(),
            max_bytes,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            has_told: AtomicBool::new(false),
        }
    }

    /// How often code was found.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How often there was none, and a module was compiled.
    pub(crate) fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// The summary that is kept for a key.
    pub(crate) fn summary(&self, key: &Key) -> Option<ModuleSummary> {
        let bytes = self.open(key, Kind::Summary)?.read().ok()?;
        let kept = bytes.strip_prefix(key.as_bytes())?;
        postcard::from_bytes(kept).ok()
    }

    /// Keeps the summary of a module.
    pub(crate) fn keep_summary(&self, key: &Key, summary: &ModuleSummary) {
        let Ok(encoded) = postcard::to_allocvec(summary) else {
            return;
        };
        self.keep(key, Kind::Summary, &[key.as_bytes(), &encoded]);
    }

    /// Returns the code that is kept for a key.
    ///
    /// - `engine`: the engine that has compiled the code.
    /// - `arena`: the arena that the memories of its instances come from.
    pub(crate) fn code(
        &self,
        key: &Key,
        engine: &wasmtime::Engine,
        arena: Option<&Arena>,
    ) -> Option<CompiledModule> {
        let file = self.open(key, Kind::Code)?;
        let module = code_file::open(&file, key, engine, arena)
            .inspect_err(|error| tracing::debug!("compiled code {key} is not used: {error}"))
            .ok()?;
        file.note_use();
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(module)
    }

    /// Keeps the code of a module that had to be compiled.
    pub(crate) fn keep_code(&self, key: &Key, module: &CompiledModule) {
        self.misses.fetch_add(1, Ordering::Relaxed);
        match code_file::Parts::of(key, module) {
            Ok(parts) => self.keep(key, Kind::Code, &parts.as_slices()),
            Err(error) => self.tell(&error),
        }
    }

    fn open(&self, key: &Key, kind: Kind) -> Option<SealedFile> {
        match SealedFile::open(&self.path(key, kind)) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                tracing::debug!("what is kept as {key} is not used: {error}");
                None
            }
        }
    }

    fn keep(&self, key: &Key, kind: Kind, parts: &[&[u8]]) {
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes as u64 > self.max_bytes {
            return;
        }
        let write = || {
            sealed_file::create_directory(&self.directory)?;
            SealedFile::write(&self.path(key, kind), parts)?;
            self.forget_oldest()
        };
        if let Err(error) = write() {
            self.tell(&error);
        }
    }

    /// Logs, once, that modules are not kept.
    fn tell(&self, error: &io::Error) {
        if !self.has_told.swap(true, Ordering::Relaxed) {
            let directory = self.directory.display();
            tracing::warn!("compiled modules are not kept in {directory}: {error}");
        }
    }

    fn path(&self, key: &Key, kind: Kind) -> PathBuf {
        let extension = match kind {
            Kind::Summary => SUMMARY,
            Kind::Code => CODE,
        };
        self.directory.join(format!("{key}.{extension}"))
    }

    /// Removes what has been used longest ago, if there is too much, or are too many files: down to
    /// three quarters, so that this is not done each time.
    fn forget_oldest(&self) -> io::Result<()> {
        /// The age at which an unfinished file is abandoned.
        const ABANDONED: Duration = Duration::from_secs(60 * 60);
        let mut kept = Vec::new();
        let now = SystemTime::now();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let extension = path.extension().and_then(OsStr::to_str);
            // Another program may have removed it.
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            match extension {
                Some(SUMMARY | CODE) => {
                    kept.push((metadata.accessed()?, metadata.len(), path));
                }
                Some(sealed_file::UNFINISHED) => {
                    let age = now.duration_since(metadata.modified()?);
                    if age.is_ok_and(|age| age > ABANDONED) {
                        fs::remove_file(&path).ok();
                    }
                }
                // It is none of ours.
                _ => {}
            }
        }
        let mut bytes: u64 = kept.iter().map(|(_, bytes, _)| bytes).sum();
        let mut files = kept.len();
        if bytes <= self.max_bytes && files <= MAX_FILES {
            return Ok(());
        }
        kept.sort();
        for (_, size, path) in kept {
            if bytes <= self.max_bytes / 4 * 3 && files <= MAX_FILES / 4 * 3 {
                break;
            }
            fs::remove_file(&path).ok();
            bytes -= size;
            files -= 1;
        }
        Ok(())
    }
}

/// The extension of files with summary.
const SUMMARY: &str = "summary";

/// The extension of files with code.
const CODE: &str = "code";

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};

    use tempfile::TempDir;

    use super::*;
    use crate::module_hash::ModuleHash;
    use crate::module_info::ModuleInfo;

    fn summary(items: u64) -> ModuleSummary {
        ModuleSummary {
            hash: ModuleHash::of(b""),
            info: ModuleInfo {
                items,
                ..ModuleInfo::default()
            },
            counts_fuel: false,
            compiler_memory: 0,
        }
    }

    fn cache(max_bytes: u64) -> (TempDir, CodeCache) {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = CodeCache::of_size(&directory.path().join("kept"), max_bytes);
        (directory, cache)
    }

    #[test]
    fn what_is_kept_is_found_by_its_key_alone() {
        let (_directory, cache) = cache(MAX_BYTES);
        let (key, other) = (Key::of(&1), Key::of(&2));
        assert_eq!(cache.summary(&key), None);
        cache.keep_summary(&key, &summary(7));
        assert_eq!(cache.summary(&key), Some(summary(7)));
        assert_eq!(cache.summary(&other), None);
        cache.keep_summary(&key, &summary(8));
        assert_eq!(cache.summary(&key), Some(summary(8)));
    }

    #[test]
    fn a_file_that_got_the_name_of_another_is_not_used() {
        let (_directory, cache) = cache(MAX_BYTES);
        let (key, other) = (Key::of(&1), Key::of(&2));
        cache.keep_summary(&key, &summary(7));
        let moved = fs::rename(
            cache.path(&key, Kind::Summary),
            cache.path(&other, Kind::Summary),
        );
        moved.expect("both are in one directory");
        assert_eq!(cache.summary(&other), None);
    }

    #[test]
    fn what_was_used_longest_ago_is_forgotten_beyond_the_limit() {
        const FILES: u64 = 16;
        let (_directory, measured) = cache(MAX_BYTES);
        measured.keep_summary(&Key::of(&0), &summary(0));
        let path = measured.path(&Key::of(&0), Kind::Summary);
        let bytes = fs::metadata(path).expect("it is kept").len();
        let (_directory, cache) = cache(FILES * bytes);
        let now = SystemTime::now();
        // The later, the longer ago.
        for number in 0..FILES {
            let key = Key::of(&number);
            cache.keep_summary(&key, &summary(0));
            let file = File::open(cache.path(&key, Kind::Summary)).expect("it is kept");
            let used = now - Duration::from_secs(60 * (number + 1));
            let times = FileTimes::new().set_accessed(used);
            file.set_times(times).expect("the file is ours");
        }
        let unfinished = cache
            .directory
            .join(format!("x.{}", sealed_file::UNFINISHED));
        fs::write(&unfinished, "x").expect("the directory is ours");
        cache.keep_summary(&Key::of(&FILES), &summary(0));
        let is_kept = |number: &u64| cache.path(&Key::of(number), Kind::Summary).exists();
        let kept: Vec<u64> = (0..=FILES).filter(is_kept).collect();
        let expected: Vec<u64> = (0..FILES / 4 * 3 - 1).chain([FILES]).collect();
        assert_eq!(kept, expected);
        // Another program may be writing it.
        assert!(unfinished.exists());
    }

    #[test]
    fn what_was_used_longest_ago_is_forgotten_if_there_are_too_many_files() {
        let (_directory, cache) = cache(MAX_BYTES);
        sealed_file::create_directory(&cache.directory).expect("a directory");
        let files = || fs::read_dir(&cache.directory).expect("it is there").count();
        for number in 1..MAX_FILES {
            let path = cache.directory.join(format!("{number}.{CODE}"));
            let file = File::create(path).expect("the directory is ours");
            let used = SystemTime::now() - Duration::from_secs(3600);
            let times = FileTimes::new().set_accessed(used);
            file.set_times(times).expect("the file is ours");
        }
        cache.keep_summary(&Key::of(&1), &summary(7));
        assert_eq!(files(), MAX_FILES);
        cache.keep_summary(&Key::of(&2), &summary(7));
        assert_eq!(files(), MAX_FILES / 4 * 3);
        for number in 1..=2 {
            assert_eq!(cache.summary(&Key::of(&number)), Some(summary(7)));
        }
    }

    #[test]
    fn what_is_larger_than_all_may_be_is_not_kept() {
        let (_directory, cache) = cache(10);
        cache.keep_summary(&Key::of(&1), &summary(7));
        assert_eq!(cache.summary(&Key::of(&1)), None);
    }

    #[test]
    fn what_was_abandoned_an_hour_ago_is_removed() {
        let (_directory, cache) = cache(MAX_BYTES);
        sealed_file::create_directory(&cache.directory).expect("a directory");
        let unfinished = cache
            .directory
            .join(format!("x.{}", sealed_file::UNFINISHED));
        let file = File::create(&unfinished).expect("the directory is ours");
        let long_ago = SystemTime::now() - Duration::from_secs(60 * 61);
        file.set_modified(long_ago).expect("the file is ours");
        cache.keep_summary(&Key::of(&1), &summary(7));
        assert!(!unfinished.exists());
    }
}
