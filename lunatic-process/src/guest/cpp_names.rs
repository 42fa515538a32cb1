//! The names of functions of C++ as they stand in the source, read from their symbols.
//!
//! Only the name itself is told: arguments of templates are left out, and so are the types of
//! parameters. So a symbol is read once from its beginning to its end, whatever it is. To write it
//! out in full can take time and memory that are exponential in its length, as what has been
//! named before can stand in it by a number, twice in each of the next.
//!
//! The grammar is that of the [Itanium C++ ABI](https://itanium-cxx-abi.github.io/cxx-abi/abi.html#mangling).

/// How deep a name may be nested.
const MAX_DEPTH: u32 = 64;

/// Where a name is longer than this, in bytes, the rest of it is not written: parts of it can
/// repeat what comes before them.
const MAX_WRITTEN: usize = 1024;

/// The name of a function, or the beginning of it if it is long; `None` if this is no symbol of C++, or one that is not understood.
///
/// - `symbol`: as it stands in the module.
pub(super) fn readable(symbol: &str) -> Option<String> {
    let rest = symbol.strip_prefix('_')?;
    let rest = rest.trim_start_matches('_').strip_prefix('Z')?;
    let mut name = String::new();
    let read = Symbol { rest }.name(&mut name, MAX_DEPTH);
    (read.is_some() || name.len() > MAX_WRITTEN).then_some(name)
}

/// What is left to be read of a symbol.
struct Symbol<'s> {
    rest: &'s str,
}

impl<'s> Symbol<'s> {
    fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Eats characters as long as they are of a kind.
    fn eat_all(&mut self, is_one: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest.trim_start_matches(is_one);
        let eaten = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        eaten
    }

    fn next(&self) -> char {
        self.rest.chars().next().unwrap_or('\0')
    }

    fn skip(&mut self, bytes: usize) -> Option<&'s str> {
        let (skipped, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(skipped)
    }

    /// A length, and so many characters.
    fn source_name(&mut self) -> Option<&'s str> {
        let length = self.eat_all(|c| c.is_ascii_digit()).parse().ok()?;
        self.skip(length)
    }

    /// Adds a name with all that it is inside of.
    fn name(&mut self, name: &mut String, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        if self.eat("Z") {
            // Inside of a function, whose parameters are told too.
            self.name(name, depth)?;
            self.skip_to_end(depth)?;
            name.push_str("::");
            if self.eat("s") {
                name.push_str("(text)");
                return Some(());
            }
            return self.name(name, depth);
        }
        if !self.eat("N") {
            if self.eat("St") {
                name.push_str("std::");
            }
            self.component(name, "", depth)?;
            return self.template_arguments(name, depth);
        }
        self.eat_all(|c| matches!(c, 'r' | 'V' | 'K'));
        let _ = self.eat("R") || self.eat("O");
        let mut last = String::new();
        let mut is_first = true;
        while !self.eat("E") {
            if !is_first {
                name.push_str("::");
            }
            is_first = false;
            let start = name.len();
            (start <= MAX_WRITTEN).then_some(())?;
            match self.abbreviation() {
                Some(standard) => name.push_str(standard),
                None => self.component(name, &last, depth)?,
            }
            last.clear();
            last.push_str(&name[start..]);
            self.template_arguments(name, depth)?;
        }
        (!is_first).then_some(())
    }

    fn abbreviation(&mut self) -> Option<&'static str> {
        const STANDARD: [(&str, &str); 7] = [
            ("St", "std"),
            ("Sa", "std::allocator"),
            ("Sb", "std::basic_string"),
            ("Ss", "std::string"),
            ("Si", "std::istream"),
            ("So", "std::ostream"),
            ("Sd", "std::iostream"),
        ];
        let mut known = STANDARD.into_iter();
        known.find_map(|(short, long)| self.eat(short).then_some(long))
    }

    /// Adds one part of a name.
    ///
    /// - `class`: the part before it.
    fn component(&mut self, name: &mut String, class: &str, depth: u32) -> Option<()> {
        self.eat("L");
        match self.next() {
            '0'..='9' => match self.source_name()? {
                anonymous if anonymous.starts_with("_GLOBAL__N") => {
                    name.push_str("(anonymous namespace)");
                }
                one => name.push_str(one),
            },
            'C' | 'D' => {
                let kind = self.skip(2)?;
                kind.ends_with(|c: char| c.is_ascii_digit()).then_some(())?;
                if kind.starts_with('D') {
                    name.push('~');
                }
                name.push_str(class);
            }
            'U' => {
                let is_lambda = self.eat("Ul");
                match is_lambda {
                    true => self.skip_to_end(depth)?,
                    false => self.eat("Ut").then_some(())?,
                }
                name.push_str(if is_lambda { "{lambda}" } else { "{unnamed}" });
                self.eat_all(|c| c.is_ascii_digit());
                self.eat("_").then_some(())?;
            }
            _ => {
                name.push_str("operator");
                name.push_str(operator(self.skip(2)?)?);
            }
        }
        while self.eat("B") {
            self.source_name()?;
        }
        Some(())
    }

    fn template_arguments(&mut self, name: &mut String, depth: u32) -> Option<()> {
        if self.eat("I") {
            self.skip_to_end(depth)?;
            name.push_str("<...>");
        }
        Some(())
    }

    /// Skips types and names up to the `E` that ends the list of them.
    fn skip_to_end(&mut self, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        loop {
            if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
                self.source_name()?;
                continue;
            }
            match self.skip(1)? {
                "E" => return Some(()),
                "N" | "I" | "J" | "F" => self.skip_to_end(depth)?,
                "M" | "P" | "R" | "O" | "K" | "V" | "G" | "Y" | "B" | "C" => {}
                "S" if self.next().is_ascii_lowercase() => drop(self.skip(1)?),
                "S" | "T" => {
                    self.eat_all(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
                    self.eat("_").then_some(())?;
                }
                "D" if "pnisuach".contains(self.next()) => drop(self.skip(1)?),
                "A" => {
                    self.eat_all(|c| c.is_ascii_digit());
                    self.eat("_").then_some(())?;
                }
                "U" if self.eat("l") => {
                    self.skip_to_end(depth)?;
                    self.eat_all(|c| c.is_ascii_digit());
                    self.eat("_").then_some(())?;
                }
                // A number, of a type that is built in.
                "L" if self.next().is_ascii_lowercase() => {
                    self.skip(1)?;
                    self.eat_all(|c| c == 'n' || c.is_ascii_digit());
                    self.eat("E").then_some(())?;
                }
                other if other.starts_with(|c: char| c.is_ascii_lowercase()) => {}
                _ => return None,
            }
        }
    }
}

/// What stands behind `operator` for the two letters of one.
fn operator(code: &str) -> Option<&'static str> {
    Some(match code {
        "nw" => " new",
        "na" => " new[]",
        "dl" => " delete",
        "da" => " delete[]",
        "aw" => " co_await",
        "co" => "~",
        "ps" | "pl" => "+",
        "ng" | "mi" => "-",
        "ad" | "an" => "&",
        "de" | "ml" => "*",
        "dv" => "/",
        "rm" => "%",
        "or" => "|",
        "eo" => "^",
        "aS" => "=",
        "pL" => "+=",
        "mI" => "-=",
        "mL" => "*=",
        "dV" => "/=",
        "rM" => "%=",
        "aN" => "&=",
        "oR" => "|=",
        "eO" => "^=",
        "ls" => "<<",
        "rs" => ">>",
        "lS" => "<<=",
        "rS" => ">>=",
        "eq" => "==",
        "ne" => "!=",
        "lt" => "<",
        "gt" => ">",
        "le" => "<=",
        "ge" => ">=",
        "ss" => "<=>",
        "nt" => "!",
        "aa" => "&&",
        "oo" => "||",
        "pp" => "++",
        "mm" => "--",
        "cm" => ",",
        "pm" => "->*",
        "pt" => "->",
        "cl" => "()",
        "ix" => "[]",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_source() {
        for (symbol, name) in [
            ("_Z3addii", "add"),
            ("_ZN3app6PlayerC2ERKS0_", "app::Player::Player"),
            ("_ZN3app6PlayerD1Ev", "app::Player::~Player"),
            ("_ZNK3app6Player4nameEv", "app::Player::name"),
            ("_ZN12_GLOBAL__N_14helpEv", "(anonymous namespace)::help"),
            ("_ZplRK1AS1_", "operator+"),
            ("_ZZN3app5startEvENK3$_0clEi", "app::start::$_0::operator()"),
            ("_ZZ4mainENKUlvE_clEv", "main::{lambda}::operator()"),
            ("_ZSt4sortIPiEvT_S1_", "std::sort<...>"),
            (
                "_ZNSt3__212basic_stringIcNS_11char_traitsIcEENS_9allocatorIcEEE6appendEPKc",
                "std::__2::basic_string<...>::append",
            ),
            (
                "_ZNSt3__212__hash_tableINS_17__hash_value_typeIiN3app3FooEEENS_4hashIiELb1EEEC1Em",
                "std::__2::__hash_table<...>::__hash_table",
            ),
        ] {
            assert_eq!(readable(symbol).as_deref(), Some(name), "{symbol}");
        }
    }

    #[test]
    fn what_is_not_understood_is_no_name() {
        for symbol in [
            "",
            "_",
            "_Z",
            "_ZN",
            "_ZNE",
            "_Z9",
            "_Z99999999999999999999f",
            "_Z3fo\u{fc}",
            "_ZN1fE1",
            "main",
            "_start",
            "_Z1gIXnwEE",
            "_ZC1IC1IC1I",
        ] {
            let name = readable(symbol);
            assert!(
                name.as_deref().is_none_or(|name| name == "f"),
                "{symbol}: {name:?}"
            );
        }
    }

    #[test]
    fn no_name_is_longer_than_its_symbol_by_much() {
        let doubled: String = (0..100).map(|n| format!("1fIS{n}_S{n}_E")).collect();
        assert_eq!(
            readable(&format!("_ZN{doubled}E")).map(|name| name.len()),
            Some(798)
        );
        for part in ["1fI", "C1I", "N", "Z", "Ul", "IXnw", "F", "N1f"] {
            assert_eq!(readable(&format!("_Z{}", part.repeat(300))), None, "{part}");
        }
    }
}
