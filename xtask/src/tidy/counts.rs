//! `cargo xtask tidy --counts`: how the code is written, in numbers; a thermometer and no limit.
//!
//! Counts what can make code hard to follow if there is much of it: parameters that are tuples, several bindings in one
//! `let`, closures with a name, chains of adaptors, one name for several types. Reads the folders `src` without unit
//! tests; what macros make is not seen.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use syn::visit::{self, Visit};
use syn::{AttrStyle, Attribute, Block, Expr, ExprMethodCall, Ident, ImplItemFn, Item, ItemFn, ItemMod, Local, Pat};
use syn::{Signature, TraitItemFn, Visibility};

use super::circles;
use super::doc_sections::{documentation, public_functions};
use super::modules::{CrateSources, Source, attributes, is_for_tests};
use super::source::{is_taken_apart, parts, typed_parameters};

/// Methods that take the place of a statement.
const ADAPTORS: [&str; 24] = [
    "and_then",
    "chain",
    "filter",
    "filter_map",
    "find",
    "find_map",
    "flat_map",
    "flatten",
    "fold",
    "for_each",
    "map",
    "map_err",
    "map_or",
    "map_or_else",
    "ok_or_else",
    "or_else",
    "partition",
    "scan",
    "skip_while",
    "take_while",
    "then",
    "then_some",
    "unwrap_or_else",
    "zip",
];
/// First words of a doc comment that point to something outside of it.
const POINTERS: [&str; 11] = ["As", "It", "Its", "Of", "That", "Their", "Them", "These", "They", "This", "Those"];

/// The counts of one crate, or of all.
#[derive(Debug, Default)]
struct Counts {
    code_lines: usize,
    file_lines: Vec<usize>,
    function_lines: Vec<usize>,
    taken_apart: usize,
    tuple_parameters: usize,
    tuple_lets: usize,
    named_closures: usize,
    adaptors: usize,
    thens: usize,
    type_names: Vec<TypeName>,
    circles: usize,
    files_in_circles: usize,
    tensor_functions: usize,
    without_shapes: usize,
    fallible_functions: usize,
    without_errors: usize,
    doc_comments: usize,
    pointing_docs: usize,
}

#[derive(Debug, Clone)]
struct TypeName {
    name: String,
    is_public: bool,
}

/// One crate, or all.
struct Row<'a> {
    name: &'a str,
    counts: Counts,
}

/// Prints the counts of each crate and of all together.
pub fn print(crates: &[CrateSources]) {
    let mut all = Counts::default();
    let mut rows = Vec::new();
    for own in crates {
        let counts = count(own);
        all.add(&counts);
        rows.push(Row { name: own.name, counts });
    }
    let type_names = std::mem::take(&mut all.type_names);
    rows.push(Row { name: "all", counts: all });
    print_table(
        "lines",
        &rows,
        &[
            ("of code", |counts| counts.code_lines.to_string()),
            ("files", |counts| counts.file_lines.len().to_string()),
            ("median", |counts| quantile(&counts.file_lines, 0.5)),
            ("p90", |counts| quantile(&counts.file_lines, 0.9)),
            ("longest", |counts| quantile(&counts.file_lines, 1.0)),
            ("functions", |counts| counts.function_lines.len().to_string()),
            ("median", |counts| quantile(&counts.function_lines, 0.5)),
            ("p90", |counts| quantile(&counts.function_lines, 0.9)),
            ("longest", |counts| quantile(&counts.function_lines, 1.0)),
        ],
    );
    print_table(
        "expression",
        &rows,
        &[
            ("(a, b): (A, B)", |counts| counts.taken_apart.to_string()),
            ("a: (A, B)", |counts| counts.tuple_parameters.to_string()),
            ("let (…) =", |counts| counts.tuple_lets.to_string()),
            ("per 1000", |counts| counts.per_1000(counts.tuple_lets)),
            ("closures", |counts| counts.named_closures.to_string()),
            ("per 1000", |counts| counts.per_1000(counts.named_closures)),
            ("adaptors", |counts| counts.adaptors.to_string()),
            ("per 1000", |counts| counts.per_1000(counts.adaptors)),
            ("bool::then", |counts| counts.thens.to_string()),
        ],
    );
    print_table(
        "documentation, circles",
        &rows,
        &[
            ("tensor fns", |counts| counts.tensor_functions.to_string()),
            ("no Shapes", |counts| counts.without_shapes.to_string()),
            ("Result fns", |counts| counts.fallible_functions.to_string()),
            ("no Errors", |counts| counts.without_errors.to_string()),
            ("docs", |counts| counts.doc_comments.to_string()),
            ("pointing", |counts| counts.pointing_docs.to_string()),
            ("circles", |counts| counts.circles.to_string()),
            ("files in them", |counts| counts.files_in_circles.to_string()),
        ],
    );
    print_repeated(&type_names);
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.code_lines += other.code_lines;
        self.file_lines.extend(&other.file_lines);
        self.function_lines.extend(&other.function_lines);
        self.taken_apart += other.taken_apart;
        self.tuple_parameters += other.tuple_parameters;
        self.tuple_lets += other.tuple_lets;
        self.named_closures += other.named_closures;
        self.adaptors += other.adaptors;
        self.thens += other.thens;
        self.type_names.extend(other.type_names.iter().cloned());
        self.circles += other.circles;
        self.files_in_circles += other.files_in_circles;
        self.tensor_functions += other.tensor_functions;
        self.without_shapes += other.without_shapes;
        self.fallible_functions += other.fallible_functions;
        self.without_errors += other.without_errors;
        self.doc_comments += other.doc_comments;
        self.pointing_docs += other.pointing_docs;
    }

    fn per_1000(&self, count: usize) -> String {
        format!("{:.1}", 1000.0 * count as f64 / self.code_lines.max(1) as f64)
    }
}

/// Counts one crate.
fn count(own: &CrateSources) -> Counts {
    let mut counts = Counts::default();
    for source in own.modules.values() {
        count_file(source, &mut counts);
    }
    for group in circles::groups(&circles::imports(own)) {
        counts.circles += 1;
        counts.files_in_circles += group.len();
    }
    counts
}

fn count_file(source: &Source, counts: &mut Counts) {
    counts.file_lines.push(source.text.lines().count());
    for function in public_functions(&source.syntax) {
        if function.has_tensors {
            counts.tensor_functions += 1;
            counts.without_shapes += usize::from(!function.has_section("Shapes"));
        }
        if function.may_fail {
            counts.fallible_functions += 1;
            counts.without_errors += usize::from(!function.has_section("Errors"));
        }
    }
    let mut counter = Counter { counts, tests: Vec::new(), last_doc_line: 0 };
    counter.visit_file(&source.syntax);
    let tests = counter.tests;
    for (index, text) in source.text.lines().enumerate() {
        let line = index + 1;
        let text = text.trim_start();
        let is_code = !text.is_empty() && !text.starts_with("//");
        if is_code && !tests.iter().any(|lines| lines.contains(&line)) {
            counts.code_lines += 1;
        }
    }
}

/// Walks through a file and counts; leaves out its unit tests and notes where they are.
struct Counter<'a> {
    counts: &'a mut Counts,
    tests: Vec<RangeInclusive<usize>>,
    last_doc_line: usize,
}

impl Counter<'_> {
    fn function(&mut self, signature: &Signature, body: Option<&Block>) {
        let first = signature.fn_token.span.start().line;
        let end = body.map_or(signature.paren_token.span.close(), |block| block.brace_token.span.close());
        self.counts.function_lines.push(end.end().line + 1 - first);
        for parameter in typed_parameters(signature) {
            if is_taken_apart(&parameter.pat) {
                self.counts.taken_apart += 1;
            } else if parts(&parameter.ty) > 1 {
                self.counts.tuple_parameters += 1;
            }
        }
    }

    fn type_name(&mut self, name: &Ident, visibility: &Visibility) {
        let is_public = matches!(visibility, Visibility::Public(_));
        self.counts.type_names.push(TypeName { name: name.to_string(), is_public });
    }
}

impl<'ast> Visit<'ast> for Counter<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes(item)) {
            if let Item::Mod(ItemMod { mod_token, content: Some((braces, _)), .. }) = item {
                let last = braces.span.close().end().line;
                self.tests.push(mod_token.span.start().line..=last);
            }
            return;
        }
        match item {
            Item::Enum(item) => self.type_name(&item.ident, &item.vis),
            Item::Struct(item) => self.type_name(&item.ident, &item.vis),
            Item::Trait(item) => self.type_name(&item.ident, &item.vis),
            Item::Type(item) => self.type_name(&item.ident, &item.vis),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.function(&function.sig, Some(&function.block));
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.function(&function.sig, Some(&function.block));
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        self.function(&function.sig, function.default.as_ref());
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_local(&mut self, binding: &'ast Local) {
        let pattern = match &binding.pat {
            Pat::Type(typed) => &*typed.pat,
            pattern => pattern,
        };
        let is_closure = binding.init.as_ref().is_some_and(|init| matches!(*init.expr, Expr::Closure(_)));
        match pattern {
            Pat::Tuple(_) => self.counts.tuple_lets += 1,
            Pat::Ident(_) if is_closure => self.counts.named_closures += 1,
            _ => {}
        }
        visit::visit_local(self, binding);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        let name = call.method.to_string();
        self.counts.adaptors += usize::from(ADAPTORS.contains(&name.as_str()));
        self.counts.thens += usize::from(name == "then" || name == "then_some");
        visit::visit_expr_method_call(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let text = documentation(std::slice::from_ref(attribute));
        if text.is_empty() || matches!(attribute.style, AttrStyle::Inner(_)) {
            return;
        }
        // Each line of a doc comment is an attribute of its own.
        let line = attribute.pound_token.span.start().line;
        if line != self.last_doc_line + 1 {
            self.counts.doc_comments += 1;
            self.counts.pointing_docs += usize::from(points_elsewhere(&text));
        }
        self.last_doc_line = line;
    }
}

/// Whether a doc comment begins with a word whose meaning stands elsewhere.
fn points_elsewhere(documentation: &str) -> bool {
    let text = documentation.trim_start();
    let first = text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default();
    POINTERS.contains(&first) || text.starts_with("The same")
}

/// The value below which the share `share` of `values` lies.
fn quantile(values: &[usize], share: f64) -> String {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    sorted.get(index).map_or("-".to_owned(), usize::to_string)
}

/// The title of a column, and what stands in it.
type Column = (&'static str, fn(&Counts) -> String);

fn print_table(title: &str, rows: &[Row], columns: &[Column]) {
    print!("{title:<12}");
    for (column, _) in columns {
        print!(" {column:>14}");
    }
    println!();
    for row in rows {
        print!("{:<12}", row.name);
        for (_, value) in columns {
            print!(" {:>14}", value(&row.counts));
        }
        println!();
    }
    println!();
}

/// Prints the type names that stand for more than one type.
fn print_repeated(names: &[TypeName]) {
    let mut declared: BTreeMap<&str, usize> = BTreeMap::new();
    let mut public: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *declared.entry(&name.name).or_default() += 1;
        *public.entry(&name.name).or_default() += usize::from(name.is_public);
    }
    let repeated: Vec<String> =
        declared.iter().filter(|(_, times)| **times > 1).map(|(name, times)| format!("{name} {times}")).collect();
    let repeated_public = public.values().filter(|times| **times > 1).count();
    println!("type names declared more than once: {}, of these publicly: {repeated_public}", repeated.len());
    println!("{}", repeated.join(", "));
}
