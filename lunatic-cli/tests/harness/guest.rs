//! From the short text of a test to a module.

use super::interface::{alias, import, interface};

/// Functions that tests would otherwise write again and again; one that is
/// called by another stands behind it.
const LIBRARY: &[(&str, &str)] = &[
    // Calls an entry of the table of the test, and catches its traps.
    (
        "$guarded",
        r#"(func $guarded (param $entry i32) (result i32)
            (call $catch (local.get $entry) (i32.const 0)))
        (func (export "_lunatic_catch_trap") (param $entry i32) (param i32) (result i32)
            (call_indirect (result i32) (local.get $entry)))"#,
    ),
    // Spawns an export of this module under a config; its id.
    (
        "$spawn_with",
        r#"(func $spawn_with (param $link i64) (param $config i64) (param $name i32) (param $length i32) (result i64)
            (call $ok (call $spawn (local.get $link) (local.get $config) (i64.const -1)
                (local.get $name) (local.get $length) (i32.const 0) (i32.const 0) (i32.const 0xff00)))
            (i64.load (i32.const 0xff00)))"#,
    ),
    // Spawns an export of this module; its id.
    (
        "$spawn_own",
        r#"(func $spawn_own (param $link i64) (param $name i32) (param $length i32) (result i64)
            (call $ok (call $spawn (local.get $link) (i64.const -1) (i64.const -1)
                (local.get $name) (local.get $length) (i32.const 0) (i32.const 0) (i32.const 0xff00)))
            (i64.load (i32.const 0xff00)))"#,
    ),
    // Compiles what `World::give` was given; the id of the module.
    (
        "$compile_given",
        r#"(func $compile_given (result i64)
            (call $ok (call $compile_module
                (i32.const 0x1000) (call $given (i32.const 0x1000)) (i32.const 0xff00)))
            (i64.load (i32.const 0xff00)))"#,
    ),
    // Says the text of an error and drops it.
    (
        "$say_error",
        r#"(func $say_error (param $error i64)
            (call $error_to_string (local.get $error) (i32.const 0x4000))
            (call $say (i32.const 0x4000) (call $error_string_size (local.get $error)))
            (call $error_drop (local.get $error)))"#,
    ),
    // Sends a number with a tag.
    (
        "$post",
        r#"(func $post (param $tag i64) (param $value i64) (param $to i64)
            (call $write (local.get $tag) (local.get $value))
            (drop (call $send (local.get $to))))"#,
    ),
    // Puts a number with a tag into scratch.
    (
        "$write",
        r#"(func $write (param $tag i64) (param $value i64)
            (call $create_data (local.get $tag) (i64.const 8))
            (i64.store (i32.const 0xff00) (local.get $value))
            (drop (call $write_data (i32.const 0xff00) (i32.const 8))))"#,
    ),
    // Waits until a process has ended.
    (
        "$await",
        r#"(func $await (param $process i64)
            (loop $again
                (if (call $exists (local.get $process)) (then
                    (call $sleep_ms (i64.const 1))
                    (br $again)))))"#,
    ),
    // Waits for a message with this tag; its kind.
    (
        "$next_tagged",
        r#"(func $next_tagged (param $tag i64) (result i32)
            (i64.store (i32.const 0xff00) (local.get $tag))
            (call $receive (i32.const 0xff00) (i32.const 1) (i64.const -1)))"#,
    ),
    // The kind of the next message, or 9027 if there is none now.
    (
        "$poll",
        r#"(func $poll (result i32)
            (call $receive (i32.const 0) (i32.const 0) (i64.const 0)))"#,
    ),
    // Waits for a message; its kind.
    (
        "$next",
        r#"(func $next (result i32)
            (call $receive (i32.const 0) (i32.const 0) (i64.const -1)))"#,
    ),
    // Reads a number from the message in scratch.
    (
        "$value",
        r#"(func $value (result i64)
            (drop (call $read_data (i32.const 0xff00) (i32.const 8)))
            (i64.load (i32.const 0xff00)))"#,
    ),
    // Traps unless the result code is 0.
    (
        "$ok",
        r#"(func $ok (param $code i32) (if (local.get $code) (then unreachable)))"#,
    ),
    // Waits for ever.
    ("$sleep", r#"(func $sleep (call $sleep_ms (i64.const -1)))"#),
    // Works for ever.
    ("$spin", r#"(func $spin (loop $again (br $again)))"#),
];

/// Where the words of a guest are; library functions use what is above 0xff00.
const WORDS: usize = 0xe000;

/// The module of a test.
///
/// A host function is imported, and a function of the library added, if its name
/// occurs. `@word` stands for address and length of that word. The memory of one
/// page is added if there is none.
pub fn module(body: &str) -> String {
    let (mut text, words) = place_words(body);
    if !text.contains("(memory (") {
        text += "(memory (export \"memory\") 1)\n";
    }
    if !words.is_empty() {
        text += &format!("(data (i32.const {WORDS}) \"{words}\")\n");
    }
    for (name, function) in LIBRARY {
        if text.contains(name) {
            text += function;
        }
    }
    let mut imports = String::new();
    for function in interface() {
        let alias = alias(function);
        if occurs(&text, &alias) {
            imports += &import(function, &alias);
        }
    }
    format!("(module\n{imports}{text})")
}

/// Whether a name is in a text, and not only as the beginning of a longer one.
fn occurs(text: &str, name: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name)
        .any(|(at, found)| !text[at + found.len()..].starts_with(is_name))
}

fn place_words(body: &str) -> (String, String) {
    let (mut text, mut words) = (String::new(), String::new());
    let mut parts = body.split('@');
    text += parts.next().unwrap_or_default();
    for part in parts {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '/';
        let length = part.find(|c| !is_word(c)).unwrap_or(part.len());
        let (word, rest) = part.split_at(length);
        let address = WORDS + words.len();
        text += &format!("(i32.const {address}) (i32.const {length}){rest}");
        words += word;
    }
    (text, words)
}
