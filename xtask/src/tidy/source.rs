//! Rules for one Rust file: its first line, its size, the size of its functions, its name.

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{FnArg, ImplItemFn, ItemFn, ItemMod, Signature, TraitItemFn};

use super::Finding;

const FILE_LINES: usize = 400;
const TEST_LINES: usize = 600;
/// For a file that is one long list, and says so by [`TABLE`] on a line of its own.
const TABLE_LINES: usize = 700;
const TABLE: &str = "// tidy: table";
const FUNCTION_LINES: usize = 60;
/// For the two files that tell the story of training in order.
const STORY_LINES: usize = 150;
const STORY: [&str; 2] = ["crates/train/src/run.rs", "crates/train/src/step.rs"];
/// The receiver does not count.
const PARAMETERS: usize = 6;
/// Burn's extension macro wants each tensor as a parameter of its own, and this backward pass needs them all.
const WIDE: [(&str, &str); 2] =
    [("crates/ops/src/attention.rs", "attend_backward"), ("crates/ops/src/device/cube.rs", "attend_backward")];
/// Names that say nothing of what is inside.
const DRAWERS: [&str; 7] = ["util", "utils", "helper", "helpers", "common", "misc", "base"];

/// Checks the file at `path`, which holds `source`.
pub fn check(path: &str, source: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !source.starts_with("//! ") {
        findings.push(Finding::at(path, 1, "begin with `//!`: what the file is, what it is not, its source"));
    }
    findings.extend(size(path, source));
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if path.split('/').any(|part| DRAWERS.contains(&part)) || DRAWERS.contains(&stem) {
        findings.push(Finding::new(path, drawer(stem)));
    }
    match syn::parse_file(source) {
        Ok(file) => {
            let longest = if STORY.contains(&path) { STORY_LINES } else { FUNCTION_LINES };
            let mut visitor = Visitor { path, longest, findings };
            visitor.visit_file(&file);
            visitor.findings
        }
        Err(error) => {
            findings.push(Finding::at(path, error.span().start().line, format!("not Rust: {error}")));
            findings
        }
    }
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
    longest: usize,
    findings: Vec<Finding>,
}

impl Visitor<'_> {
    /// A function whose last token is at `end`.
    fn function(&mut self, signature: &Signature, end: Span) {
        let (first, last) = (signature.fn_token.span.start().line, end.end().line);
        let (name, lines) = (&signature.ident, last + 1 - first);
        if lines > self.longest {
            let what = format!("fn {name}: {lines} lines are more than {}; name its parts", self.longest);
            self.findings.push(Finding::at(self.path, first, what));
        }
        let parameters = signature.inputs.iter().filter(|input| matches!(input, FnArg::Typed(_))).count();
        let is_wide = WIDE.iter().any(|(path, wide)| self.path == *path && name == wide);
        if parameters > PARAMETERS && !is_wide {
            let what = format!(
                "fn {name}: {parameters} parameters are more than {PARAMETERS}; group those that belong together"
            );
            self.findings.push(Finding::at(self.path, first, what));
        }
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
        check(path, source).iter().map(ToString::to_string).collect()
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
        assert_eq!(found("a.rs", "use std::fs;\n\n//! A file.\n")[..1], told);
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
    fn functions_have_a_limit_by_their_file() {
        for (path, most) in [("crates/train/src/save.rs", 60), ("crates/train/src/run.rs", 150)] {
            assert_eq!(found(path, &function(most)), [""; 0]);
            let told = format!("{path}:5: fn long: {} lines are more than {most}; name its parts", most + 1);
            assert_eq!(found(path, &function(most + 1)), [told]);
        }
    }

    #[test]
    fn functions_take_few_parameters_wherever_they_stand() {
        let six = "a: u8, b: u8, c: u8, d: u8, e: u8, f: u8";
        let fits = format!("//! A file.\nimpl A {{\n    fn a(&self, {six}) {{}}\n}}\n");
        assert_eq!(found("a.rs", &fits), [""; 0]);
        for (before, after) in [("", "{}"), ("impl A { ", "{} }"), ("trait A { ", "; }"), ("mod a { ", "{} }")] {
            let told = found("a.rs", &format!("//! A file.\n{before}fn a({six}, g: u8) {after}\n"));
            assert_eq!(told, ["a.rs:2: fn a: 7 parameters are more than 6; group those that belong together"]);
        }
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
