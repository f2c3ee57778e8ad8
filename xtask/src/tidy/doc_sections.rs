//! Sections that the documentation of a public function needs: `# Shapes` if it takes or gives tensors, `# Errors` if
//! it returns a `Result`.

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, ImplItemFn, Item, ItemFn, ItemImpl, Lit, Meta, Path, ReturnType};
use syn::{Signature, Type, Visibility};

use super::Finding;
use super::modules::{Source, attributes, is_for_tests};

/// A public function that stands free or in an `impl` block of its type; a trait's functions are documented there.
pub struct PublicFunction {
    name: String,
    line: usize,
    documentation: String,
    /// `Tensor<…>` is in its signature.
    pub has_tensors: bool,
    /// A `Result` is what it returns.
    pub may_fail: bool,
}

impl PublicFunction {
    /// Whether its documentation has a section with this title.
    pub fn has_section(&self, title: &str) -> bool {
        self.documentation.lines().any(|line| line.trim() == format!("# {title}"))
    }
}

/// Checks one file; tests have no readers of their documentation.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !source.path.contains("/src/") {
        return findings;
    }
    for function in public_functions(&source.syntax) {
        let name = &function.name;
        if function.has_tensors && !function.has_section("Shapes") {
            let what = format!("fn {name}: a public function on tensors says their shapes in a section `# Shapes`");
            findings.push(Finding::at(source.path, function.line, what));
        }
        if function.may_fail && !function.has_section("Errors") {
            let what = format!("fn {name}: a public function with a Result says when it fails in a section `# Errors`");
            findings.push(Finding::at(source.path, function.line, what));
        }
    }
    findings
}

/// The public functions of a file, without those for tests.
pub fn public_functions(syntax: &syn::File) -> Vec<PublicFunction> {
    let mut functions = Functions::default();
    functions.visit_file(syntax);
    functions.found
}

#[derive(Default)]
struct Functions {
    found: Vec<PublicFunction>,
}

impl Functions {
    fn add(&mut self, visibility: &Visibility, attributes: &[Attribute], signature: &Signature) {
        if !matches!(visibility, Visibility::Public(_)) {
            return;
        }
        let mut tensors = Tensors::default();
        tensors.visit_signature(signature);
        self.found.push(PublicFunction {
            name: signature.ident.to_string(),
            line: signature.fn_token.span.start().line,
            documentation: documentation(attributes),
            has_tensors: tensors.found,
            may_fail: returns_result(&signature.output),
        });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(&function.vis, &function.attrs, &function.sig);
        visit::visit_item_fn(self, function);
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        if block.trait_.is_none() {
            visit::visit_item_impl(self, block);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.add(&function.vis, &function.attrs, &function.sig);
        visit::visit_impl_item_fn(self, function);
    }
}

#[derive(Default)]
struct Tensors {
    found: bool,
}

impl<'ast> Visit<'ast> for Tensors {
    fn visit_path(&mut self, path: &'ast Path) {
        let last = path.segments.last();
        self.found |= last.is_some_and(|last| last.ident == "Tensor" && !last.arguments.is_none());
        visit::visit_path(self, path);
    }
}

fn returns_result(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else { return false };
    let Type::Path(ty) = &**ty else { return false };
    ty.path.segments.last().is_some_and(|last| last.ident == "Result")
}

/// The text of the doc comments among `attributes`, a line each.
pub fn documentation(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &pair.value else { continue };
        if pair.path.is_ident("doc") {
            text.push_str(&line.value());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let source = Source { path: "crates/a/src/a.rs", text, syntax: syn::parse_file(text).unwrap() };
        check(&source).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn functions_on_tensors_say_shapes() {
        let told = found("pub fn a(x: Option<&Tensor<4>>) {}\n");
        assert!(told.len() == 1 && told[0].contains("a.rs:1: fn a: a public function on tensors"), "{told:?}");
        assert_eq!(found("/// # Shapes\n/// x (B, C).\npub fn a(x: &Tensor<2>) {}\n"), [""; 0]);
        assert_eq!(found("pub(crate) fn a(x: &Tensor<2>) {}\npub fn b(x: &NamedTensor) {}\n"), [""; 0]);
    }

    #[test]
    fn functions_that_may_fail_say_when() {
        let told = found("impl A {\n    pub fn a() -> io::Result<u8> {}\n}\n");
        assert!(told.len() == 1 && told[0].contains("a.rs:2: fn a: a public function with a Result"), "{told:?}");
        assert_eq!(found("impl B for A {\n    fn a() -> Result<u8> {}\n}\n"), [""; 0]);
        assert_eq!(found("#[cfg(test)]\nmod tests {\n    pub fn a() -> Result<u8> {}\n}\n"), [""; 0]);
    }
}
