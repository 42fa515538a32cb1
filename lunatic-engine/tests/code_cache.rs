//! Compiled modules that are kept for the next start.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::fs::{self, File, Permissions};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use futures_lite::future::block_on;
use lunatic_account::Account;
use lunatic_engine::{
    Budget, CompiledModule, Engine, EngineConfig, HostFunctionType, InstanceState, LoadError,
    Loader, MemoryLayout, MemoryLimiter, Module, ModuleLimits, Results,
};
use tempfile::TempDir;
use wasmtime::Val;

#[derive(Default)]
struct State(MemoryLimiter);

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.0
    }
}

/// Adds what is at four places of its memory, of which two were written at the start; with
/// segments that are mapped, and not copied. Its loop has points of preemption.
const SUM: &str = r#"(module $sum (memory 4)
    (data (i32.const 5) "\07") (data (i32.const 100000) "\05")
    (func (export "sum") (result i32) (local $rounds i32)
        (loop $again
            (local.set $rounds (i32.add (local.get $rounds) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $rounds) (i32.const 1000))))
        (i32.store8 (i32.const 9) (i32.add (i32.load8_u (i32.const 9)) (i32.const 1)))
        (i32.add
            (i32.add (i32.load8_u (i32.const 5)) (i32.load8_u (i32.const 100000)))
            (i32.add (i32.load8_u (i32.const 9)) (i32.load8_u (i32.const 200000))))))"#;

/// What it returns, in each instance.
const IS_SUM: i32 = 13;

/// A directory for compiled modules.
struct Kept(TempDir);

/// A program that has been started once more.
struct Start {
    engine: Engine,
    loader: Loader<State>,
}

impl Kept {
    fn new() -> Kept {
        Kept(tempfile::tempdir().unwrap())
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("kept")
    }

    fn start(&self) -> Start {
        self.start_with(|_| {})
    }

    fn start_with(&self, set: impl FnOnce(&mut EngineConfig)) -> Start {
        let mut config = EngineConfig::default();
        config.cache = Some(self.directory());
        set(&mut config);
        let engine = Engine::new(&config).unwrap();
        let loader = Loader::new(&engine, [], |_| Ok(())).unwrap();
        Start { engine, loader }
    }

    /// The files with code, or those with summary.
    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.directory()) else {
            return Vec::new();
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().unwrap() == extension)
            .collect()
    }

    /// The only file of a kind.
    fn file(&self, extension: &str) -> PathBuf {
        let files = self.files(extension);
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }
}

impl Start {
    fn load(&self, text: &str) -> Module<State> {
        self.loader.load(text.as_bytes()).unwrap()
    }

    /// How often code was found, and how often not.
    fn counts(&self) -> (u64, u64) {
        let stats = self.engine.stats();
        (stats.cache_hits, stats.cache_misses)
    }

    /// Loads the module that sums, looks whether it is whole, and returns whether it was found.
    #[track_caller]
    fn finds_sum(&self) -> bool {
        let (hits, misses) = self.counts();
        let module = self.load(SUM);
        sums(&module, Budget::Unlimited);
        let (hits, misses) = (self.counts().0 - hits, self.counts().1 - misses);
        assert_eq!(hits + misses, 1);
        hits == 1
    }
}

/// What the module that sums returns in two instances, the second of which gets the memory of
/// the first.
#[track_caller]
fn sums(module: &Module<State>, budget: Budget) {
    assert_eq!(module.name(), Some("sum"));
    assert_eq!(module.info().memory_minimum, 4 << 16);
    for _ in 0..2 {
        assert_eq!(result(module, budget, "sum"), IS_SUM);
    }
}

fn result(module: &Module<State>, budget: Budget, export: &str) -> i32 {
    let results = Results::default();
    block_on(async {
        let instance = module.instantiate(State::default(), budget).await;
        let mut instance = instance.unwrap();
        let call = instance.prepare(export, Vec::new()).unwrap();
        instance.run(call.for_results(results.clone())).await
    })
    .unwrap();
    results.get().unwrap()[0].unwrap_i32()
}

fn fuel() -> Budget {
    Budget::Fuel(NonZeroU64::new(1_000_000).unwrap())
}

#[test]
fn a_second_start_finds_what_the_first_has_compiled() {
    let kept = Kept::new();
    assert!(!kept.start().finds_sum());
    assert!(kept.start().finds_sum());
    // Once more in the same start, and as other bytes that are the same module.
    let start = kept.start();
    assert!(start.finds_sum() && start.finds_sum());
    let binary = wat::parse_str(SUM).unwrap();
    let hash = start.loader.load(&binary).unwrap().hash();
    assert_ne!(hash, start.load(SUM).hash());
    assert_eq!(start.counts(), (3, 1));
    assert_eq!(kept.start().loader.load(&binary).unwrap().hash(), hash);
}

#[test]
fn a_module_that_is_loaded_without_blocking_is_found_too() {
    let kept = Kept::new();
    for found in [false, true] {
        let start = kept.start();
        let module = block_on(start.loader.load_async(SUM.into())).unwrap();
        sums(&module, Budget::Unlimited);
        assert_eq!(start.counts(), (u64::from(found), u64::from(!found)));
    }
}

#[test]
fn another_module_is_compiled() {
    let kept = Kept::new();
    for number in 1..=3 {
        let start = kept.start();
        let text = format!(r#"(module (func (export "get") (result i32) i32.const {number}))"#);
        let module = start.load(&text);
        assert_eq!(result(&module, Budget::Unlimited, "get"), number);
        assert_eq!(start.counts(), (0, 1));
    }
    assert_eq!(
        (kept.files("code").len(), kept.files("summary").len()),
        (3, 3)
    );
}

#[test]
fn the_variant_that_counts_fuel_is_kept_too() {
    let kept = Kept::new();
    for found in [false, true] {
        let start = kept.start();
        let module = start.load(SUM);
        sums(&module, fuel());
        sums(&module, Budget::Unlimited);
        let expected = if found { (2, 0) } else { (0, 2) };
        assert_eq!(start.counts(), expected);
    }
    assert_eq!(
        (kept.files("code").len(), kept.files("summary").len()),
        (2, 1)
    );
}

#[test]
fn a_module_that_gives_budgets_is_found() {
    const GIVES: &str = r#"(module (import "test" "give" (func))
        (func (export "get") (result i32) i32.const 3))"#;
    let kept = Kept::new();
    let load = |budget_function| {
        let start = kept.start();
        let give = HostFunctionType {
            namespace: "test",
            name: "give",
            params: Vec::new(),
            results: Vec::new(),
        };
        #[expect(clippy::disallowed_methods, reason = "one function, for tests")]
        let loader = Loader::<State>::with_budget_function(
            &start.engine,
            [give],
            |linker| {
                linker.func_wrap("test", "give", || ())?;
                Ok(())
            },
            ("test", budget_function),
        );
        let module = loader.unwrap().load(GIVES.as_bytes()).unwrap();
        assert_eq!(result(&module, Budget::Unlimited, "get"), 3);
        let before = start.counts();
        block_on(module.prepare_budgets()).unwrap();
        (before, start.counts())
    };
    assert_eq!(load("give"), ((0, 1), (0, 1)));
    assert_eq!(load("give"), ((1, 0), (1, 0)));
    // To who gives budgets by another function, it is another module, and that code a variant of
    // it.
    assert_eq!(load("other"), ((0, 1), (1, 1)));
    assert_eq!(load("other"), ((1, 0), (2, 0)));
}

/// Something that happens to a file.
type Damage = fn(&Path);

fn write(path: &Path, bytes: &[u8], at: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

#[test]
fn damaged_files_are_compiled_anew() {
    let cases: [(&str, Damage); 9] = [
        ("empty", |path| fs::write(path, "").unwrap()),
        ("cut off", |path| {
            let file = File::options().write(true).open(path).unwrap();
            file.set_len(fs::metadata(path).unwrap().len() / 2).unwrap();
        }),
        ("garbage", |path| fs::write(path, [0xa5; 70_000]).unwrap()),
        ("another start", |path| write(path, b"garbage", 0)),
        ("another middle", |path| {
            write(path, b"garbage", fs::metadata(path).unwrap().len() / 2);
        }),
        ("another end", |path| {
            write(path, b"garbage", fs::metadata(path).unwrap().len() - 7);
        }),
        ("copied", |path| {
            let bytes = fs::read(path).unwrap();
            fs::remove_file(path).unwrap();
            fs::write(path, bytes).unwrap();
        }),
        ("for all to write", |path| {
            fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        }),
        ("gone", |path| fs::remove_file(path).unwrap()),
    ];
    for (name, damage) in cases {
        for extension in ["code", "summary"] {
            let kept = Kept::new();
            assert!(!kept.start().finds_sum());
            damage(&kept.file(extension));
            // Code that is kept is used by whoever has read the module.
            let found = kept.start().finds_sum();
            assert_eq!(found, extension == "summary", "{extension}: {name}");
            assert!(kept.start().finds_sum(), "{extension}: {name}");
        }
    }
}

#[test]
fn a_file_of_another_module_under_its_name_is_not_used() {
    let kept = Kept::new();
    let start = kept.start();
    start.load(r#"(module (func (export "sum") (result i32) i32.const 1))"#);
    let other = [kept.file("code"), kept.file("summary")];
    start.load(SUM);
    for (extension, other) in ["code", "summary"].into_iter().zip(other) {
        let files = kept.files(extension);
        let own = files.iter().find(|path| **path != other).unwrap();
        fs::copy(&other, own).unwrap();
        let modified = fs::metadata(&other).unwrap().modified().unwrap();
        let copy = File::options().write(true).open(own).unwrap();
        copy.set_modified(modified).unwrap();
    }
    assert!(!kept.start().finds_sum());
}

#[test]
fn what_stands_where_a_file_was_is_no_reason_not_to_run() {
    let kept = Kept::new();
    assert!(!kept.start().finds_sum());
    for extension in ["code", "summary"] {
        let path = kept.file(extension);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
    }
    assert!(!kept.start().finds_sum());
    assert!(!kept.start().finds_sum());
}

#[test]
fn a_directory_that_cannot_be_made_is_no_reason_not_to_run() {
    let kept = Kept::new();
    fs::write(kept.directory(), "no directory").unwrap();
    assert!(!kept.start().finds_sum());
    assert!(!kept.start().finds_sum());
}

#[test]
fn a_module_that_lax_limits_admitted_is_checked_against_strict_ones() {
    let kept = Kept::new();
    assert!(!kept.start().finds_sum());
    let strict = |config: &mut EngineConfig| config.module_limits.code_bytes = 10;
    for _ in 0..2 {
        let refused = kept.start_with(strict).loader.load(SUM.as_bytes());
        assert!(matches!(refused, Err(LoadError::TooLarge(_))));
    }
    let limits = {
        let mut limits = ModuleLimits::untrusted();
        limits.data_segments = 1;
        limits
    };
    let start = kept.start();
    let refused = block_on(
        start
            .loader
            .load_within(SUM.into(), &limits, &Account::default()),
    );
    assert!(matches!(refused, Err(LoadError::TooLarge(_))));
    // Within limits that admit it, the same code is used.
    let enough = |config: &mut EngineConfig| config.module_limits.code_bytes = 10_000;
    assert!(kept.start_with(enough).finds_sum());
    assert!(kept.start_with(enough).finds_sum());
    assert_eq!(
        (kept.files("code").len(), kept.files("summary").len()),
        (1, 2)
    );
}

#[test]
fn code_that_is_compiled_in_another_way_is_not_used() {
    let kept = Kept::new();
    let ways: [fn(&mut EngineConfig); 3] = [
        |config| config.memory_layout = Some(MemoryLayout::Dense),
        |config| config.memory_layout = Some(MemoryLayout::Guarded),
        |config| config.without_arena = true,
    ];
    for found in [false, true] {
        for way in ways {
            assert_eq!(kept.start_with(way).finds_sum(), found);
        }
    }
}

#[test]
fn a_module_that_is_refused_is_not_kept() {
    let kept = Kept::new();
    for refused in [
        r#"(module (import "a" "b" (func)))"#,
        "(module (func (result i32)))",
        "(module",
        "(component)",
    ] {
        for _ in 0..2 {
            assert!(kept.start().loader.load(refused.as_bytes()).is_err());
        }
    }
    assert!(kept.files("code").is_empty() && kept.files("summary").is_empty());
}

#[test]
fn code_whose_imports_another_program_offered_is_refused() {
    const ASKS: &str = r#"(module (import "test" "asked" (func)) (func (export "get")))"#;
    let kept = Kept::new();
    let start = kept.start();
    let asked = HostFunctionType {
        namespace: "test",
        name: "asked",
        params: Vec::new(),
        results: Vec::new(),
    };
    #[expect(clippy::disallowed_methods, reason = "one function, for tests")]
    let offers = Loader::<State>::new(&start.engine, [asked], |linker| {
        linker.func_wrap("test", "asked", || ())?;
        Ok(())
    });
    offers.unwrap().load(ASKS.as_bytes()).unwrap();
    let refused = kept.start().loader.load(ASKS.as_bytes());
    assert!(matches!(refused, Err(LoadError::Imports(problems)) if problems.len() == 1));
}

#[test]
fn starts_at_once_hurt_nobody() {
    let kept = Kept::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| kept.start().finds_sum());
        }
    });
    assert!(kept.start().finds_sum());
    let files = fs::read_dir(kept.directory()).unwrap().count();
    assert_eq!(files, 2);
}

#[test]
fn what_is_mapped_stays_when_the_files_are_removed_or_replaced() {
    let kept = Kept::new();
    kept.start().load(SUM);
    let start = kept.start();
    let module = start.load(SUM);
    assert_eq!(start.counts(), (1, 0));
    let code = kept.file("code");
    fs::write(kept.directory().join("x"), [0xa5; 1 << 20]).unwrap();
    fs::rename(kept.directory().join("x"), &code).unwrap();
    sums(&module, Budget::Unlimited);
    fs::remove_dir_all(kept.directory()).unwrap();
    sums(&module, Budget::Unlimited);
    sums(&module, fuel());
}

#[test]
fn what_is_kept_in_a_directory_that_cannot_be_written_is_used() {
    let kept = Kept::new();
    kept.start().load(SUM);
    fs::set_permissions(kept.directory(), Permissions::from_mode(0o500)).unwrap();
    let found = kept.start().finds_sum();
    kept.start().load("(module)");
    fs::set_permissions(kept.directory(), Permissions::from_mode(0o700)).unwrap();
    assert!(found);
}

#[test]
fn a_module_that_takes_parameters_does_not_change_by_being_kept() {
    const ADDS: &str = r#"(module (func (export "check") (param i32) (param i64)
        (if (i64.ne (i64.extend_i32_u (local.get 0)) (local.get 1)) (then unreachable))))"#;
    let kept = Kept::new();
    for found in [0, 1] {
        let start = kept.start();
        let module = start.load(ADDS);
        assert_eq!(start.counts().0, found);
        assert_eq!(module.exported_function("check").unwrap().params().len(), 2);
        let call = |a, b| {
            block_on(async {
                let instance = module
                    .instantiate(State::default(), Budget::Unlimited)
                    .await;
                let mut instance = instance.unwrap();
                instance.call("check", &[Val::I32(a), Val::I64(b)]).await
            })
        };
        assert!(call(4, 4).is_ok());
        assert!(call(4, 5).is_err());
    }
}
