//! Who made a module for another host than this one, told by what it imports, and what to do.

/// A sentence and a remedy for imports that are not offered, if they are known.
///
/// - `imports`: namespace and name of each.
pub(crate) fn of_imports<'a>(
    imports: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Option<&'static str> {
    let known = KNOWN.iter();
    known
        .filter(|(is_known, _)| {
            imports
                .clone()
                .any(|(namespace, name)| is_known(namespace, name))
        })
        .map(|(_, help)| *help)
        .next()
}

type Recognises = fn(namespace: &str, name: &str) -> bool;

const KNOWN: &[(Recognises, &str)] = &[
    (
        |namespace, _| {
            namespace.starts_with("__wbindgen")
                || namespace == "wbg"
                || namespace.ends_with("_bg.js")
        },
        "it was made with wasm-bindgen, for a host that is written in JavaScript; build with \
         `cargo build --target wasm32-wasip1`, without wasm-pack, and turn off features such as \
         `js` or `wasmbind` of the crates it uses",
    ),
    (
        |namespace, _| namespace == "wasi_unstable",
        "it imports `wasi_unstable`, the WASI of 2019, which was replaced by \
         `wasi_snapshot_preview1`; build it with a compiler from 2020 or later: wasi-sdk 8, \
         Rust 1.42, or newer ones",
    ),
    (
        |namespace, _| namespace == "rb-js-abi-host",
        "it is Ruby as npm has it, for a host that is written in JavaScript; take `ruby` out of \
         `ruby-VERSION-wasm32-unknown-wasip1-full.tar.gz` of the releases of ruby.wasm, or make a \
         program of it as docs/languages.md says",
    ),
    (
        |namespace, _| namespace.starts_with("javy_quickjs_provider"),
        "Javy has left out the JavaScript engine; build without `-C dynamic`",
    ),
    (
        |namespace, name| {
            ["go", "gojs", "go_js"].contains(&namespace)
                && (name.starts_with("runtime.") || name.starts_with("syscall/js"))
        },
        "it was made by Go for a host that is written in JavaScript; build with \
         `GOOS=wasip1 GOARCH=wasm go build`, or `tinygo build -target=wasip1`",
    ),
    (
        |namespace, name| {
            let is_emscripten = name.starts_with("emscripten_")
                || name.starts_with("_emscripten_")
                || name.starts_with("__syscall_")
                || name.starts_with("invoke_")
                || name.starts_with("__cxa_")
                || name.starts_with("_embind_");
            namespace == "env" && is_emscripten || (namespace == "a" && name.len() <= 2)
        },
        "it was made by Emscripten, for a host that is written in JavaScript; build with \
         `emcc -sSTANDALONE_WASM -o NAME.wasm`, or with wasi-sdk: `clang --target=wasm32-wasi`",
    ),
    (
        |namespace, name| namespace == "env" && ["abort", "seed", "trace"].contains(&name),
        "it was made by AssemblyScript without its shim for WASI: \
         `npm install @assemblyscript/wasi-shim`, and `\"extends\": \
         \"./node_modules/@assemblyscript/wasi-shim/asconfig.json\"` in asconfig.json",
    ),
    (
        |namespace, name| (namespace, name) == ("wasi", "thread-spawn"),
        "it was built for WASI with threads, and here are processes in place of threads; \
         build for wasm32-wasip1, without `-pthread` and without -threads in the target",
    ),
    (
        |namespace, _| {
            namespace.starts_with("wasi:")
                || namespace.starts_with("cm32p2")
                || namespace.starts_with("[export]")
        },
        "it is the core module of a component (WASI 0.2 or later); build for wasm32-wasip1",
    ),
    (
        |namespace, _| namespace.starts_with("wasi_") || namespace.starts_with("wasix_"),
        "it was built for an extension of WASI that is not offered; build for wasm32-wasip1",
    ),
    (
        |namespace, _| namespace == "env",
        "`env` is where a linker puts what is declared and not defined: link what defines it, \
         or build without `--allow-undefined`",
    ),
];

/// How to build without a proposal, by the name that the engine has for it.
pub(crate) fn without_proposal(proposal: &str) -> &'static str {
    match proposal {
        "legacy-exceptions" => {
            "it has exceptions in the form before that of WebAssembly 3.0: build with \
             `-mllvm -wasm-use-legacy-eh=false`, in Emscripten with `-sWASM_LEGACY_EXCEPTIONS=0`, \
             in Rust with `-C llvm-args=-wasm-use-legacy-eh=false` or `-C panic=abort`"
        }
        "gc" | "gc-types" => {
            "languages that need it (Kotlin, Dart, OCaml, Scheme, Java) do not run here yet; \
             build for linear memory if the compiler can"
        }
        "memory64" => "build for wasm32 in place of wasm64, in Emscripten without `-sMEMORY64`",
        "threads" | "shared-everything-threads" => {
            "build without `-pthread` and `-matomics`, in Rust without `-C target-feature=+atomics`: \
             here are processes in place of threads"
        }
        "wide-arithmetic" => {
            "build with `-mno-wide-arithmetic`, in Rust `-C target-feature=-wide-arithmetic`"
        }
        "custom-page-sizes" => "build with pages of 64 KiB",
        "component-model" => "build for wasm32-wasip1, not for wasm32-wasip2 or later",
        _ => "build it without",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_import_decides() {
        let help = |imports: &[(&'static str, &'static str)]| of_imports(imports.iter().copied());
        let says = |imports: &[(&'static str, &'static str)], word: &str| {
            let help = help(imports).unwrap_or_default();
            assert!(help.contains(word), "no {word} in {help:?}");
        };
        says(&[("env", "abort")], "AssemblyScript");
        says(
            &[("env", "abort"), ("env", "emscripten_get_now")],
            "Emscripten",
        );
        says(&[("env", "memory"), ("wasi", "thread-spawn")], "threads");
        says(&[("env", "own_function")], "declared");
        assert_eq!(help(&[("elsewhere", "f")]), None);
    }
}
