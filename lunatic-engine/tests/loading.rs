//! What is known of a module before it runs, and what can be wrong with it.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use lunatic_account::{Account, AccountLimits, Kind};
use lunatic_engine::{
    Engine, EngineConfig, ExceedsLimits, HostFunctionType, InstanceState, LoadError, Loader,
    MemoryLimiter, MemoryLimits, Module, ModuleHash, ModuleInfo, ModuleLimit, ModuleLimits,
};
use lunatic_error::with_causes;
use wasmtime::{Caller, ValType};

struct State(MemoryLimiter);

impl InstanceState for State {
    fn limits(&mut self) -> &mut MemoryLimiter {
        &mut self.0
    }
}

/// Offers `test::known (param i64) (result i32)`.
#[expect(clippy::disallowed_methods, reason = "one function, for tests")]
fn loader() -> Loader<State> {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let known = HostFunctionType {
        namespace: "test",
        name: "known",
        params: vec![ValType::I64],
        results: vec![ValType::I32],
    };
    Loader::new(&engine, [known], |linker| {
        linker.func_wrap("test", "known", |_: Caller<'_, State>, _: i64| 0i32)?;
        Ok(())
    })
    .unwrap()
}

fn info(fields: &str) -> ModuleInfo {
    let wasm = wat::parse_str(format!("(module {fields})")).unwrap();
    ModuleInfo::of(&wasm).unwrap()
}

#[track_caller]
fn may_fail(fields: &str, expected: bool) {
    assert_eq!(info(fields).start_may_fail, expected, "{fields}");
}

#[test]
fn a_module_without_start_function_and_segments_starts() {
    may_fail("", false);
    may_fail(r#"(memory 1) (table 1 funcref) (func (export "f"))"#, false);
}

#[test]
fn a_start_function_may_fail() {
    may_fail("(start $f) (func $f)", true);
}

#[test]
fn a_segment_that_is_known_to_fit_does_not_fail() {
    may_fail(r#"(memory 1) (data (i32.const 0) "a")"#, false);
    may_fail(r#"(memory 1) (data (i32.const 65535) "a")"#, false);
    may_fail(r#"(memory 1) (data (i32.const 65536) "")"#, false);
    may_fail("(table 2 funcref) (elem (i32.const 1) $f) (func $f)", false);
    may_fail(
        "(table 1 funcref) (elem (i32.const 0) funcref (ref.null func))",
        false,
    );
}

#[test]
fn a_segment_that_is_not_known_to_fit_may_fail() {
    may_fail(r#"(memory 1) (data (i32.const 65536) "a")"#, true);
    may_fail(r#"(memory 1) (data (i32.const -1) "ab")"#, true);
    may_fail(r#"(memory 0) (data (i32.const 0) "a")"#, true);
    may_fail("(table 1 funcref) (elem (i32.const 1) $f) (func $f)", true);
    may_fail(
        "(table 1 funcref) (elem (i32.const -1) funcref (ref.null func) (ref.null func))",
        true,
    );
    // A global's value is not looked up.
    may_fail(
        r#"(import "test" "global" (global i32)) (memory 1) (data (global.get 0) "a")"#,
        true,
    );
}

#[test]
fn a_passive_segment_does_nothing_at_the_start() {
    may_fail(r#"(memory 0) (data "a")"#, false);
    may_fail("(elem funcref (ref.func $f)) (func $f)", false);
    may_fail("(elem declare func $f) (func $f)", false);
}

#[test]
fn memories_and_tables_are_counted_imported_ones_too() {
    let info = info(
        r#"(import "test" "memory" (memory 1)) (import "test" "table" (table 3 funcref))
        (memory 2) (table 4 funcref)"#,
    );
    assert_eq!((info.memories, info.memory_minimum), (2, 3 << 16));
    assert_eq!((info.tables, info.table_minimum), (2, 7));
}

#[test]
fn what_exceeds_limits_is_known_beforehand() {
    let limits = MemoryLimits { max_memory: 65536 };
    let checked = |fields| info(fields).check_limits(&limits);
    assert_eq!(checked("(memory 1) (table 99999 funcref)"), Ok(()));
    let exceeded = |fields| checked(fields).unwrap_err();
    assert_eq!(
        exceeded("(memory 2)"),
        ExceedsLimits::Memory {
            needed: 2 << 16,
            limit: 65536
        }
    );
    assert_eq!(
        exceeded("(memory 2)").to_string(),
        "memory minimum size of 2 pages exceeds memory limits (65536 bytes)"
    );
    assert_eq!(
        exceeded(
            "(memory 0)(memory 0)(memory 0)(memory 0)(memory 0)(memory 0)(memory 0)(memory 0)(memory 0)"
        ),
        ExceedsLimits::Memories { needed: 9 }
    );
    // They have their limit together.
    assert_eq!(checked("(memory 1) (memory 0)"), Ok(()));
    assert_eq!(
        exceeded("(memory 1) (memory 1)"),
        ExceedsLimits::Memory {
            needed: 2 << 16,
            limit: 65536
        }
    );
    assert_eq!(
        exceeded("(table 0 funcref) (table 0 funcref)"),
        ExceedsLimits::Tables { needed: 2 }
    );
    assert_eq!(
        exceeded("(table 100000 funcref)"),
        ExceedsLimits::TableElements {
            needed: 100_000,
            limit: 100_000
        }
    );
}

#[track_caller]
fn error(bytes: impl AsRef<[u8]>) -> LoadError {
    let bytes = bytes.as_ref();
    let loaded = loader().load(bytes).map(|_: Module<State>| ());
    loaded.expect_err(&String::from_utf8_lossy(bytes))
}

#[test]
fn bytes_that_are_neither_wasm_nor_text_are_told_apart() {
    for bytes in [&b""[..], b"hello", b"\xff\xfe", b"\0as", b"\xff("] {
        let error = error(bytes);
        assert!(matches!(error, LoadError::NotWasm), "{bytes:?}: {error}");
    }
}

#[test]
fn text_that_is_wrong_is_told_with_its_place() {
    let LoadError::Text(text) = error("(module\n  (nonsense))") else {
        panic!("expected wrong text");
    };
    assert_eq!((text.line, text.column), (2, 4));
    assert_eq!(text.excerpt, "  (nonsense))");
}

#[test]
fn a_component_is_not_a_module() {
    for bytes in [&b"\0asm\x0d\0\x01\0"[..], b"(component)"] {
        let error = error(bytes);
        assert!(matches!(error, LoadError::Component), "{bytes:?}: {error}");
    }
}

#[test]
fn an_error_has_its_cause_as_its_source() {
    for (bytes, expected) in [
        (
            "(module\n  (nonsense))",
            "the text format is wrong: expected valid module field (at line 2, column 4)",
        ),
        (
            "\0asm\u{1}\0\0\0\u{1}",
            "the module is not valid: unexpected end-of-file (at offset 0x9)",
        ),
    ] {
        assert_eq!(with_causes(&error(bytes)).to_string(), expected);
    }
}

#[test]
fn what_is_no_valid_module_is_told_why() {
    let whole = wat::parse_str(r#"(module (func (export "f") (nop)))"#).unwrap();
    // Cut inside of each section; cut between two, it may be a whole module.
    let sections = wasmparser::Parser::new(0).parse_all(&whole);
    let ends: Vec<_> = sections
        .filter_map(|payload| payload.unwrap().as_section().map(|(_, range)| range.end))
        .collect();
    let cuts = (9..whole.len()).filter(|length| !ends.contains(length));
    for length in (4..8).chain(cuts) {
        let error = error(&whole[..length]);
        assert!(matches!(error, LoadError::Invalid(_)), "{length}: {error}");
    }
    for text in [
        "(module (func (result i32)))",
        "(module (memory 65537))",
        // Sizes that are not to be computed with.
        "(module (memory i64 0x1000000000001) (memory i64 0x1000000000001))",
        "(module (table i64 0xffffffffffffffff funcref) (table i64 2 funcref))",
        "(module (func (export \"a\")) (func (export \"a\")))",
        // Exceptions that carry functions.
        "(module (tag (param i32 funcref)))",
        "(module (type $f (func)) (tag (param (ref null $f))))",
        "(module (import \"a\" \"b\" (tag (param nullfuncref))))",
    ] {
        let error = error(text);
        assert!(matches!(error, LoadError::Invalid(_)), "{text}: {error}");
    }
}

#[test]
fn proposals_that_are_not_offered_are_not_valid() {
    for (text, proposal) in [
        ("(module (memory i64 1))", "memory64"),
        ("(module (memory 1 1 shared))", "threads"),
        ("(module (func try end))", "legacy-exceptions"),
        ("(module (type (struct)))", "gc"),
    ] {
        let LoadError::Invalid(invalid) = error(text) else {
            panic!("expected that this is not valid: {text}");
        };
        let missing = invalid.missing_feature.as_deref();
        assert_eq!(missing, Some(proposal), "{text}: {invalid}");
    }
}

#[test]
fn proposals_that_guests_use_are_offered() {
    for text in [
        // Sign extension, saturating conversion, multi-value.
        "(module (func (result i32 i64)
            (i32.extend8_s (i32.const 0)) (i64.trunc_sat_f64_s (f64.const 0))))",
        // Bulk memory, reference types, SIMD.
        "(module (memory 1) (table 1 externref)
            (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))
            (func (param externref) (table.set (i32.const 0) (local.get 0)))
            (func (result v128) (i32x4.splat (i32.const 0))))",
        "(module (memory 0) (memory 0))",
        // Tail calls, extended constants, relaxed SIMD, typed function references.
        "(module (func $f (return_call $f)))",
        "(module (memory 1) (global i32 (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3))))
            (data (offset (i32.add (i32.const 1) (i32.const 8))) \"a\"))",
        "(module (func (param v128 v128 v128) (result v128)
            (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2))))",
        "(module (type $t (func)) (func $f (param (ref $t)) (call_ref $t (local.get 0))))",
        // Exceptions.
        "(module (tag $t (param i32)) (tag (param externref exnref)) (table 1 exnref) (global exnref (ref.null noexn))
            (func (result i32 exnref) (block $caught (result i32 exnref)
                (try_table (catch_ref $t $caught) (throw $t (i32.const 1))) (unreachable))))",
    ] {
        assert!(loader().load(text.as_bytes()).is_ok(), "{text}");
    }
}

#[test]
fn an_error_that_main_returns_is_a_sentence() {
    let error = loader()
        .load(br#"(module (import "elsewhere" "f" (func)))"#)
        .expect_err("it cannot be linked");
    assert_eq!(
        format!("{error:?}"),
        "unknown import: `elsewhere::f` has not been defined"
    );
}

#[test]
fn imports_that_are_not_offered_are_all_named_with_their_types() {
    let LoadError::Imports(problems) = error(
        r#"(module
            (import "test" "known" (func (param i64) (result i32)))
            (import "test" "known" (func (param i32)))
            (import "test" "unknown" (func))
            (import "other" "known" (func (param i64) (result i32)))
            (import "test" "memory" (memory 1)))"#,
    ) else {
        panic!("expected import problems");
    };
    let problems: Vec<_> = problems
        .iter()
        .map(|problem| {
            let names = format!("{}::{}", problem.namespace, problem.name);
            (names, problem.wanted.as_str(), problem.offered.as_deref())
        })
        .collect();
    let offered = Some("(func (param i64) (result i32))");
    let expected = [
        ("test::known", "(func (param i32))", offered),
        ("test::unknown", "(func)", None),
        ("other::known", "(func (param i64) (result i32))", None),
        ("test::memory", "memory", None),
    ];
    assert_eq!(
        problems,
        expected.map(|(names, wanted, offered)| (names.to_string(), wanted, offered))
    );
}

#[test]
fn a_module_keeps_the_hash_of_what_it_was_loaded_from() {
    let hash = |bytes: &[u8]| loader().load(bytes).unwrap().hash();
    let text = hash(b"(module)");
    assert_eq!(
        text.to_string(),
        "1885772b94ca41b360d9bd07535547f4c8ef16cbe7e49d2c8e9780247e26c4de"
    );
    assert_eq!(text, ModuleHash::of(b"(module)"));
    assert_eq!(text.as_bytes().len(), 32);
    // The same module, and other bytes.
    let binary = hash(b"\0asm\x01\0\0\0");
    assert_ne!(text, binary);
    assert_eq!(hash(b"\0asm\x01\0\0\0"), binary);
}

#[test]
fn a_module_has_the_name_that_its_name_section_gives_it() {
    let name = |text: &str| {
        let module = loader().load(text.as_bytes()).unwrap();
        module.name().map(str::to_string)
    };
    assert_eq!(name("(module $shop)").as_deref(), Some("shop"));
    assert_eq!(name("(module)"), None);
    // Its data segments are taken out, and its name stays.
    let with_data = r#"(module $shop (memory 1) (data (i32.const 0) "a"))"#;
    assert_eq!(name(with_data).as_deref(), Some("shop"));
}

#[test]
fn an_instance_has_a_value_for_each_item_of_a_passive_segment() {
    let bytes = |segment: &str| info(&format!("(func $f) {segment}")).instance_bytes();
    let items = "$f ".repeat(1000);
    let declared = bytes(&format!("(elem declare func {items})"));
    let passive = bytes(&format!("(elem func {items})"));
    assert_eq!(passive, declared + 1000 * 16);
}

#[test]
fn the_size_of_a_module_has_what_is_kept_beside_its_code() {
    let size = |fields: &str| {
        let text = format!("(module (func $f) (table 90000 funcref) {fields})");
        loader().load(text.as_bytes()).unwrap().size() as u64
    };
    let small = size("");
    let names: String = (0..1000)
        .map(|number| format!(r#"(export "{number:08}" (func $f))"#))
        .collect();
    assert!(size(&names) > small + 1000 * (160 + 8));
    let types: String = (0..1000)
        .map(|number| {
            let values: String = (0..10)
                .map(|bit| {
                    if number >> bit & 1 == 0 {
                        "i32 "
                    } else {
                        "i64 "
                    }
                })
                .collect();
            format!("(type (func (param {values})))")
        })
        .collect();
    assert!(size(&types) > small + 1000 * 256);
    // One function at the end makes an image of the whole table.
    assert!(size("(elem (i32.const 89999) $f)") > small + 90_000 * 4);
}

/// Loads a module with limits that are smaller than the default ones.
fn load_within(limits: ModuleLimits, text: &str) -> Result<Module<State>, LoadError> {
    let mut config = EngineConfig::default();
    config.module_limits = limits;
    let engine = Engine::new(&config).unwrap();
    let loader: Loader<State> = Loader::new(&engine, [], |_| Ok(())).unwrap();
    loader.load(text.as_bytes())
}

#[test]
fn bytes_that_are_part_of_an_image_are_not_limited_as_those_that_are_copied() {
    let mut limits = ModuleLimits::default();
    limits.copied_bytes = 2;
    assert!(load_within(limits, r#"(module (memory 1) (data (i32.const 0) "abc"))"#).is_ok());
}

#[test]
fn an_error_about_imports_is_no_longer_than_somebody_reads() {
    let namespace = "n".repeat(1000);
    let import = |number| format!(r#"(import "{namespace}" "{number}" (func))"#);
    let many: String = (0..500).map(import).collect();
    let loaded = load_within(ModuleLimits::default(), &format!("(module {many})"));
    let text = loaded.err().unwrap().to_string();
    assert!(text.len() < 5000, "{}", text.len());
    assert!(text.ends_with("; and 496 others"), "{text}");
}

#[test]
fn a_module_that_exceeds_a_limit_is_told_which_and_one_at_the_limit_is_loaded() {
    type Limit = fn(&mut ModuleLimits) -> &mut u64;
    let cases: [(ModuleLimit, Limit, &str, u64); 38] = [
        (ModuleLimit::TextBytes, |l| &mut l.text_bytes, "(module)", 8),
        (
            ModuleLimit::TypeValues,
            |l| &mut l.type_values,
            "(module (type (func (param i32))) (type (func (param i32 i64) (result i32))))",
            1 + 3,
        ),
        (
            ModuleLimit::FunctionValues,
            |l| &mut l.function_values,
            "(module (func (param i32)) (func (param i32) (result i32) unreachable))",
            1 + 2,
        ),
        (
            ModuleLimit::ElementItems,
            |l| &mut l.element_items,
            "(module (func $f) (table 4 funcref)
                (elem (i32.const 0) $f $f) (elem func $f) (elem funcref (ref.null func)))",
            4,
        ),
        (
            ModuleLimit::StartupItems,
            |l| &mut l.startup_items,
            "(module (func $f) (table 4 funcref) (elem (i32.const 0) $f $f)
                (elem (i32.add (i32.const 0) (i32.const 0)) $f) (elem func $f $f)
                (elem declare func $f))",
            2 + 3,
        ),
        (
            ModuleLimit::StartupSegments,
            |l| &mut l.startup_segments,
            r#"(module (memory 100) (data (i32.const 0) "a") (data (i32.const 6000000) "b"))"#,
            2,
        ),
        (
            ModuleLimit::TableImages,
            |l| &mut l.table_images,
            "(module (func $f) (table 9 funcref) (elem (i32.const 7) $f))",
            8,
        ),
        (
            ModuleLimit::FunctionWeight,
            |l| &mut l.function_weight,
            "(module (func $f) (table 4 funcref) (func (param i32)
                (call_indirect (i32.const 0))
                (if (local.get 0) (then (call $f)))
                (loop (br_if 0 (local.get 0)))))",
            40 + 15 + 5 + 100 + 8,
        ),
        (
            ModuleLimit::SquaredWeights,
            |l| &mut l.squared_weights,
            "(module (func (loop)) (func (block) (block)))",
            100 * 100 + 20 * 20,
        ),
        (
            ModuleLimit::ConstantOperators,
            |l| &mut l.constant_operators,
            "(module (func $f) (table 4 funcref)
                (elem (i32.const 0) funcref (ref.func $f) (ref.null func)))",
            2 * 2,
        ),
        (
            ModuleLimit::ModuleBytes,
            |l| &mut l.module_bytes,
            "(module)",
            8,
        ),
        (
            ModuleLimit::Types,
            |l| &mut l.types,
            "(module (type (func)) (type (func (param i32))))",
            2,
        ),
        (
            ModuleLimit::Functions,
            |l| &mut l.functions,
            "(module (func) (func))",
            2,
        ),
        (
            ModuleLimit::Tables,
            |l| &mut l.tables,
            "(module (table 0 funcref))",
            1,
        ),
        (
            ModuleLimit::Memories,
            |l| &mut l.memories,
            "(module (memory 0))",
            1,
        ),
        (
            ModuleLimit::Globals,
            |l| &mut l.globals,
            "(module (global i32 (i32.const 0)))",
            1,
        ),
        (
            ModuleLimit::Exports,
            |l| &mut l.exports,
            r#"(module (memory (export "a") (export "b") 0))"#,
            2,
        ),
        (
            ModuleLimit::CopiedBytes,
            |l| &mut l.copied_bytes,
            r#"(module (memory 1) (memory 1) (data (i32.const 0) "ab") (data (i32.const 1) "c"))"#,
            3,
        ),
        (
            ModuleLimit::DataSegments,
            |l| &mut l.data_segments,
            r#"(module (data "a") (data "b"))"#,
            2,
        ),
        (
            ModuleLimit::ConstantOperators,
            |l| &mut l.constant_operators,
            "(module (table 9 funcref) (memory 1) (func $f)
                (global i32 (i32.add (i32.const 1) (i32.const 2)))
                (global i32 (i32.const 5))
                (elem (offset (i32.add (i32.const 3) (i32.const 1))) $f)
                (data (offset (i32.add (i32.const 3) (i32.const 1))) \"a\"))",
            3 * 4,
        ),
        (
            ModuleLimit::FunctionLocals,
            |l| &mut l.function_locals,
            "(module (func (local i32 i64 i32)))",
            3,
        ),
        (
            ModuleLimit::BlockDepth,
            |l| &mut l.block_depth,
            "(module (func (block (block)) (loop)))",
            2,
        ),
        (
            ModuleLimit::BranchTargets,
            |l| &mut l.branch_targets,
            "(module (func (block (br_table 0 0 1 0 (i32.const 1)))))",
            3,
        ),
        (
            ModuleLimit::BlockMerges,
            |l| &mut l.block_merges,
            "(module (func (param i32 i32) (block (local.set 0 (i32.const 1)) (br_if 0 (local.get 0))
                (local.set 1 (i32.const 2)) (br_if 0 (local.get 0)))))",
            4,
        ),
        (
            ModuleLimit::LoopMerges,
            |l| &mut l.loop_merges,
            "(module (func (param i32) (loop (loop (local.set 0 (i32.const 1))))))",
            2 + 4,
        ),
        (
            ModuleLimit::PassedValues,
            |l| &mut l.passed_values,
            "(module (func $f (param i32 i32) (result i32)
                (drop (block (result i32) (i32.const 1)))
                (call $f (i32.const 1) (i32.const 2))))",
            1 + 3,
        ),
        (
            ModuleLimit::BulkOperations,
            |l| &mut l.bulk_operations,
            r#"(module (memory 1) (data "a") (func (param i32)
                (memory.fill (local.get 0) (local.get 0) (local.get 0))
                (memory.copy (local.get 0) (local.get 0) (local.get 0))
                (memory.init 0 (local.get 0) (local.get 0) (local.get 0))))"#,
            3,
        ),
        (
            ModuleLimit::AllBulkOperations,
            |l| &mut l.all_bulk_operations,
            "(module (memory 1)
                (func (param i32) (memory.fill (local.get 0) (local.get 0) (local.get 0)))
                (func (param i32) (memory.fill (local.get 0) (local.get 0) (local.get 0))))",
            2,
        ),
        (
            ModuleLimit::Tags,
            |l| &mut l.tags,
            "(module (tag) (tag (param i32)))",
            2,
        ),
        (
            ModuleLimit::ExceptionHandlers,
            |l| &mut l.exception_handlers,
            "(module (tag $t) (func (block $b (try_table (catch $t $b) (catch $t $b)
                (try_table (catch $t $b)) (try_table (catch_all $b))))))",
            3,
        ),
        (
            ModuleLimit::ExceptionEdges,
            |l| &mut l.exception_edges,
            "(module (tag $t) (func $f)
                (func (block $b (try_table (catch $t $b) (catch_all $b) (call $f)))))",
            2 * 2,
        ),
        (
            ModuleLimit::AllExceptionEdges,
            |l| &mut l.all_exception_edges,
            "(module (tag $t) (func $f) (func (block $b (try_table (catch_all $b) (call $f))))
                (func (block $b (try_table (catch_all $b) (call $f)))))",
            2 + 2,
        ),
        (
            ModuleLimit::CodeBytes,
            |l| &mut l.code_bytes,
            "(module (func) (func (nop)))",
            2 + 3,
        ),
        (
            ModuleLimit::AllLocals,
            |l| &mut l.all_locals,
            "(module (func (local i32 i64)) (func (local i32)))",
            3,
        ),
        (
            ModuleLimit::AllBranchTargets,
            |l| &mut l.all_branch_targets,
            "(module (func (br_table 0 0 (i32.const 1))) (func (br_table 0 0 0 (i32.const 1))))",
            3,
        ),
        (
            ModuleLimit::AllPassedValues,
            |l| &mut l.all_passed_values,
            "(module (func $f (param i32) (call $f (i32.const 1)))
                (func (call $f (i32.const 1)) (call $f (i32.const 1))))",
            3,
        ),
        (
            ModuleLimit::AllBlockMerges,
            |l| &mut l.all_block_merges,
            "(module (func (param i32) (block (local.set 0 (i32.const 1)) (br_if 0 (local.get 0))))
                (func (param i32) (block (local.set 0 (i32.const 1)) (br_if 0 (local.get 0)))))",
            2,
        ),
        (
            ModuleLimit::AllLoopMerges,
            |l| &mut l.all_loop_merges,
            "(module (func (param i32) (loop (local.set 0 (i32.const 1))))
                (func (loop (nop))))",
            2 + 1,
        ),
    ];
    for (what, limit, text, needed) in cases {
        let mut limits = ModuleLimits::default();
        *limit(&mut limits) = needed;
        assert!(load_within(limits, text).is_ok(), "{what:?}");
        *limit(&mut limits) = needed - 1;
        let Err(LoadError::TooLarge(exceeded)) = load_within(limits, text) else {
            panic!("expected that the module is too large: {what:?}");
        };
        assert_eq!(
            (exceeded.what, exceeded.found, exceeded.limit),
            (what, needed, needed - 1)
        );
    }
}

#[test]
fn a_small_module_that_would_be_compiled_for_long_is_too_large() {
    let nested_loops = format!(
        "{}{}",
        "(loop ".repeat(3000),
        "(local.set 0 (i32.const 1)))".repeat(3000)
    );
    let error = error(format!("(module (func (local i32) {nested_loops}))"));
    let LoadError::TooLarge(exceeded) = error else {
        panic!("expected that the module is too large: {error}");
    };
    assert_eq!(
        (exceeded.what, exceeded.function),
        (ModuleLimit::LoopMerges, Some(0))
    );
}

#[test]
fn the_types_of_a_group_are_counted_before_they_are_read() {
    let mut limits = ModuleLimits::default();
    limits.types = 100;
    // It is part of a proposal that is off, which is found later.
    let group = |types: usize| format!("(module (rec {}))", "(type (func))".repeat(types));
    let error = load_within(limits, &group(101)).err();
    let Some(LoadError::TooLarge(exceeded)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(exceeded.what, ModuleLimit::Types);
    let error = load_within(limits, &group(100)).err();
    assert!(matches!(error, Some(LoadError::Invalid(_))), "{error:?}");
}

#[test]
fn an_error_about_a_limit_names_the_function() {
    let error = error(format!("(module (func {}))", "(local i32)".repeat(20_001)));
    assert_eq!(
        with_causes(&error).to_string(),
        "the module is too large: function 0: too many locals: 20001, at most 20000 are allowed"
    );
}

#[test]
fn deeply_nested_text_does_not_overflow_a_stack() {
    let load = |open: &str, close: &str| {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        loader().load(format!("(module (func {open}{close}))").as_bytes())
    };
    for (open, close) in [("(block ", ")"), ("(i32.eqz ", ")"), ("(", ")")] {
        load(open, close).unwrap_err();
    }
    load("(; ", ";)").unwrap();
}

#[test]
fn loading_that_nobody_waits_for_ends_before_its_next_step() {
    let text = format!("(module {})", "(func (nop))".repeat(50_000)).into_bytes();
    let loader = loader();
    let limits = ModuleLimits::untrusted();
    let account = Account::default();
    // Each is given up in another moment; the queue is empty in the end, and works on.
    for _ in 0..20 {
        let loading = loader.load_within(text.clone(), &limits, &account);
        let given_up = futures_lite::future::block_on(futures_lite::future::poll_once(loading));
        assert!(given_up.is_none());
    }
    let small = loader.load_within(b"(module)".to_vec(), &limits, &account);
    assert!(futures_lite::future::block_on(small).is_ok());
}

#[test]
fn memory_for_the_compiler_is_charged_while_it_compiles_and_who_has_none_is_refused() {
    let wasm = wat::parse_str("(module (func))").unwrap();
    let limits = ModuleLimits::untrusted();
    let loader = loader();
    let root = Account::default();
    let with = |memory| {
        let limits = AccountLimits {
            memory,
            ..AccountLimits::UNLIMITED
        };
        root.branch(limits).unwrap()
    };
    let (poor, rich) = (with(100 << 10), with(64 << 20));
    let load = |payer: &Account, bytes: &[u8]| {
        futures_lite::future::block_on(loader.load_within(bytes.to_vec(), &limits, payer))
    };
    let refused = load(&poor, &wasm).unwrap_err();
    assert!(matches!(refused, LoadError::Exceeded(exceeded) if exceeded.account == poor.id()));
    load(&rich, &wasm).unwrap();
    // Text takes memory before anything is known of it.
    let text = format!("(module {})", "(func)".repeat(200_000));
    let refused = load(&rich, text.as_bytes()).unwrap_err();
    assert!(matches!(refused, LoadError::Exceeded(exceeded) if exceeded.account == rich.id()));
    root.set_memory_left(100 << 10);
    let refused = load(&rich, &wasm).unwrap_err();
    assert!(matches!(refused, LoadError::Exceeded(exceeded) if exceeded.account == root.id()));
    // Nobody is kept from it for ever who is trusted with all memory.
    load(&root, &wasm).unwrap();
    assert_eq!((poor.used(Kind::Memory), rich.used(Kind::Memory)), (0, 0));
}
