//! Rules for one Rust file: its first line, its size, the size and the parameters of its functions, its name.

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{FnArg, ImplItemFn, ItemFn, ItemMod, Pat, PatType, Signature, TraitItemFn, Type};

use super::Finding;
use super::modules::Source;

const FILE_LINES: usize = 400;
const TEST_LINES: usize = 600;
/// For a file that is one long list, and says so by [`TABLE`] on a line of its own.
const TABLE_LINES: usize = 700;
const TABLE: &str = "// tidy: table";
const FUNCTION_LINES: usize = 60;
/// The receiver does not count; a tuple counts as its parts.
const PARAMETERS: usize = 6;
/// Burn's extension macro wants each tensor as a parameter of its own, and this backward pass needs them all.
const WIDE: [(&str, &str); 2] =
    [("crates/ops/src/attention.rs", "attend_backward"), ("crates/ops/src/device/cube.rs", "attend_backward")];
/// Names that say nothing of what is inside.
const DRAWERS: [&str; 7] = ["util", "utils", "helper", "helpers", "common", "misc", "base"];

/// Checks one file.
pub fn check(source: &Source) -> Vec<Finding> {
    let path = source.path;
    let mut findings = Vec::new();
    if !source.text.starts_with("//! ") {
        findings.push(Finding::at(path, 1, "begin with `//!`: what the file is, what it is not, its source"));
    }
    findings.extend(size(path, source.text));
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if path.split('/').any(|part| DRAWERS.contains(&part)) || DRAWERS.contains(&stem) {
        findings.push(Finding::new(path, drawer(stem)));
    }
    let mut visitor = Visitor { path, findings };
    visitor.visit_file(&source.syntax);
    visitor.findings
}

fn size(path: &str, source: &str) -> Option<Finding> {
    let lines = source.lines().count();
    let folders_and_name = || path.split('/');
    let is_test = folders_and_name().any(|part| part == "tests" || part == "tests.rs");
    let is_table = source.lines().any(|line| line == TABLE);
    let (most, remedy) = match (is_test, is_table) {
        (true, _) => (TEST_LINES, "split it by what is tested"),
        (_, true) => (TABLE_LINES, "split the table"),
        _ => (FILE_LINES, "split it by what its parts are for"),
    };
    (lines > most).then(|| Finding::new(path, format!("{lines} lines are more than {most}; {remedy}")))
}

fn drawer(name: &str) -> String {
    format!("a module called `{name}` is a drawer for anything; name it after what is inside")
}

struct Visitor<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl Visitor<'_> {
    /// A function whose last token is at `end`.
    fn function(&mut self, signature: &Signature, end: Span) {
        let name = &signature.ident;
        let first = signature.fn_token.span.start().line;
        let lines = end.end().line + 1 - first;
        if lines > FUNCTION_LINES {
            let what = format!("fn {name}: {lines} lines are more than {FUNCTION_LINES}; name its parts");
            self.findings.push(Finding::at(self.path, first, what));
        }
        let mut parameters = 0;
        for parameter in typed_parameters(signature) {
            parameters += parts(&parameter.ty);
            if is_taken_apart(&parameter.pat) {
                let what = format!(
                    "fn {name}: a tuple is taken apart in the signature; make it a struct with a name, \
                                    or parameters of their own"
                );
                self.findings.push(Finding::at(self.path, first, what));
            }
        }
        let is_wide = WIDE.iter().any(|(path, wide)| self.path == *path && name == wide);
        if parameters > PARAMETERS && !is_wide {
            let what = format!(
                "fn {name}: {parameters} parameters, the parts of tuples counted, are more than {PARAMETERS}; give a \
                 struct to those that belong together"
            );
            self.findings.push(Finding::at(self.path, first, what));
        }
    }
}

/// The parameters without the receiver.
pub fn typed_parameters(signature: &Signature) -> impl Iterator<Item = &PatType> {
    signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(parameter) => Some(parameter),
        FnArg::Receiver(_) => None,
    })
}

/// Whether a parameter is a pattern of a tuple, as in `(width, height): (u32, u32)`.
pub fn is_taken_apart(pattern: &Pat) -> bool {
    match pattern {
        Pat::Tuple(_) => true,
        Pat::Reference(reference) => is_taken_apart(&reference.pat),
        Pat::Paren(inner) => is_taken_apart(&inner.pat),
        _ => false,
    }
}

/// How many values a parameter of this type hands over: those of a tuple, also behind a reference, or one.
pub fn parts(ty: &Type) -> usize {
    match ty {
        Type::Tuple(tuple) if !tuple.elems.is_empty() => tuple.elems.iter().map(parts).sum(),
        Type::Reference(reference) => parts(&reference.elem),
        Type::Paren(inner) => parts(&inner.elem),
        _ => 1,
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.function(&function.sig, function.block.brace_token.span.close());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.function(&function.sig, function.block.brace_token.span.close());
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        let body = function.default.as_ref().map(|block| block.brace_token.span.close());
        self.function(&function.sig, body.unwrap_or(function.sig.paren_token.span.close()));
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let name = module.ident.to_string();
        // One in a file of its own is found by the name of the file.
        if module.content.is_some() && DRAWERS.contains(&name.as_str()) {
            self.findings.push(Finding::at(self.path, module.mod_token.span.start().line, drawer(&name)));
        }
        visit::visit_item_mod(self, module);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, source: &str) -> Vec<String> {
        let syntax = syn::parse_file(source).unwrap();
        check(&Source { path, text: source, syntax }).iter().map(ToString::to_string).collect()
    }

    /// A file of `lines` lines in all.
    fn file(head: &str, lines: usize) -> String {
        head.to_owned() + &"// line\n".repeat(lines - head.lines().count())
    }

    /// A function that is `lines` lines long.
    fn function(lines: usize) -> String {
        format!(
            "//! A file.\n\n/// Attributes and comments do not count.\n#[inline]\nfn long() {{\n{}}}\n",
            "    a();\n".repeat(lines - 2)
        )
    }

    #[test]
    fn a_file_says_first_what_it_is() {
        assert_eq!(found("a.rs", "//! A file.\n"), [""; 0]);
        let told = ["a.rs:1: begin with `//!`: what the file is, what it is not, its source"];
        assert_eq!(found("a.rs", "// A file.\n"), told);
        assert_eq!(found("a.rs", ""), told);
    }

    #[test]
    fn files_have_a_limit_by_their_kind() {
        for (path, head, most) in [
            ("crates/a/src/b.rs", "//! A file.\n", 400),
            ("crates/a/src/latests.rs", "//! A file.\n", 400),
            ("crates/a/tests/b.rs", "//! Tests.\n", 600),
            ("crates/a/src/b/tests.rs", "//! Tests.\n", 600),
            ("crates/a/src/b.rs", "//! A list.\n// tidy: table\n", 700),
        ] {
            assert_eq!(found(path, &file(head, most)), [""; 0]);
            let told = found(path, &file(head, most + 1));
            assert!(told[0].contains(&format!("{} lines are more than {most};", most + 1)), "{told:?}");
        }
    }

    #[test]
    fn functions_have_a_limit() {
        assert_eq!(found("a.rs", &function(60)), [""; 0]);
        assert_eq!(found("a.rs", &function(61)), ["a.rs:5: fn long: 61 lines are more than 60; name its parts"]);
    }

    #[test]
    fn functions_take_few_parameters_wherever_they_stand() {
        let six = "a: u8, b: u8, c: u8, d: u8, e: u8, f: u8";
        let fits = format!("//! A file.\nimpl A {{\n    fn a(&self, {six}) {{}}\n}}\n");
        assert_eq!(found("a.rs", &fits), [""; 0]);
        for (before, after) in [("", "{}"), ("impl A { ", "{} }"), ("trait A { ", "; }"), ("mod a { ", "{} }")] {
            let told = found("a.rs", &format!("//! A file.\n{before}fn a({six}, g: u8) {after}\n"));
            let what = "a.rs:2: fn a: 7 parameters, the parts of tuples counted, are more than 6; ";
            assert!(told.len() == 1 && told[0].starts_with(what), "{told:?}");
        }
    }

    #[test]
    fn a_tuple_counts_as_its_parts() {
        let five = "a: u8, b: u8, c: (u8, u8), d: u8";
        assert_eq!(found("a.rs", &format!("//! A file.\nfn a({five}, e: &[(u8, u8)]) {{}}\n")), [""; 0]);
        let told = found("a.rs", &format!("//! A file.\nfn a({five}, e: &(u8, (u8, u8))) {{}}\n"));
        assert!(told.len() == 1 && told[0].contains("fn a: 8 parameters"), "{told:?}");
    }

    #[test]
    fn no_tuple_is_taken_apart_in_a_signature() {
        for parameter in ["(a, b): (u8, u8)", "&(a, b): &(u8, u8)"] {
            let told = found("a.rs", &format!("//! A file.\nfn a({parameter}) {{}}\n"));
            assert!(told.len() == 1 && told[0].starts_with("a.rs:2: fn a: a tuple is taken apart"), "{told:?}");
        }
        let fine = "//! A file.\nfn a(Wrapped(a): Wrapped, [b, c]: [u8; 2]) {\n    d(|(e, f)| e + f);\n}\n";
        assert_eq!(found("a.rs", fine), [""; 0]);
    }

    #[test]
    fn no_module_is_a_drawer() {
        for path in ["crates/a/src/util.rs", "crates/a/src/helpers/b.rs", "crates/a/src/common/mod.rs"] {
            assert_eq!(found(path, "//! A file.\n").len(), 1, "{path}");
        }
        assert_eq!(found("a.rs", "//! A file.\nmod misc {}\n").len(), 1);
        assert_eq!(found("crates/a/src/based_on.rs", "//! A file.\n"), [""; 0]);
    }
}
