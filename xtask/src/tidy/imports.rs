//! What a module says of names: the items that it has, the names that it imports, the paths that it writes out.
//!
//! Names are resolved by their words alone, as far as files are concerned: an associated item or a variant is part of
//! its type, and what a macro makes is not seen.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Ident, Item, ItemUse, UseTree};

use super::modules::{attributes, is_for_tests};

/// A path as it is written, with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPath {
    /// The names in the path, from the first to the last.
    pub names: Vec<String>,
    /// Where it stands.
    pub line: usize,
}

/// The names of one module, without those of its tests.
#[derive(Debug, Default)]
pub struct Names {
    /// The items that it declares, its inline modules included.
    pub items: Vec<String>,
    /// Each imported name with its path.
    pub imported: BTreeMap<String, WrittenPath>,
    /// Modules of which everything is imported.
    pub globs: Vec<WrittenPath>,
    /// Paths of two names and more in types, expressions, patterns and macros.
    pub written_out: Vec<WrittenPath>,
}

impl Names {
    /// Reads the file of a module.
    pub fn read(syntax: &syn::File) -> Self {
        let mut names = Self::default();
        names.items.extend(syntax.items.iter().filter(|item| !is_for_tests(attributes(item))).filter_map(declared));
        names.visit_file(syntax);
        names
    }

    /// Takes over what a `use` item imports; `before` are the names on the way to `tree`.
    fn import(&mut self, tree: &UseTree, before: &[String]) {
        match tree {
            UseTree::Path(branch) => {
                let names = [before, &[branch.ident.to_string()]].concat();
                self.import(&branch.tree, &names);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, before);
                }
            }
            UseTree::Glob(all) => {
                let line = all.star_token.spans[0].start().line;
                self.globs.push(WrittenPath { names: before.to_vec(), line });
            }
            UseTree::Name(leaf) => self.import_as(&leaf.ident, None, before),
            UseTree::Rename(leaf) => self.import_as(&leaf.ident, Some(&leaf.rename), before),
        }
    }

    fn import_as(&mut self, leaf: &Ident, rename: Option<&Ident>, before: &[String]) {
        let mut names = before.to_vec();
        // `a::{self}` is the module `a`.
        if leaf != "self" {
            names.push(leaf.to_string());
        }
        let here = rename.map(Ident::to_string).or_else(|| names.last().cloned());
        if let Some(here) = here {
            self.imported.insert(here, WrittenPath { names, line: leaf.span().start().line });
        }
    }

    /// Finds the paths in a macro's tokens: names with `::` between.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut names: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            let line = token.span().start().line;
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        names.clear();
                    }
                    names.push(name.to_string());
                    colons = 0;
                    if names.len() > 1 {
                        self.written_out.push(WrittenPath { names: names.clone(), line });
                    }
                }
                other => {
                    names.clear();
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.written_out.push(WrittenPath { names, line: path.segments[0].ident.span().start().line });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }
}

/// The name that an item declares.
fn declared(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Mod(item) if item.content.is_some() => &item.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Names {
        Names::read(&syn::parse_file(text).unwrap())
    }

    #[test]
    fn imports_are_read_with_groups_and_new_names() {
        let names = read("use crate::a::{self, B, c::D as E};\npub use x::*;\n");
        let told: Vec<String> =
            names.imported.iter().map(|(name, path)| format!("{name}={}", path.names.join("::"))).collect();
        assert_eq!(told, ["B=crate::a::B", "E=crate::a::c::D", "a=crate::a"]);
        assert_eq!(names.globs, [WrittenPath { names: vec!["x".into()], line: 2 }]);
    }

    #[test]
    fn paths_are_read_in_code_and_in_macros_but_not_in_tests() {
        let names = read(
            "struct A;\nfn b() -> super::C {\n    println!(\"{}\", crate::d::e(1));\n}\n\
             #[cfg(test)]\nmod tests {\n    use crate::f::G;\n    fn h() { crate::i::j() }\n}\n",
        );
        assert_eq!(names.items, ["A", "b"]);
        let told: Vec<String> = names.written_out.iter().map(|path| path.names.join("::")).collect();
        assert_eq!(told, ["super::C", "crate::d", "crate::d::e"]);
        assert!(names.imported.is_empty());
    }
}
