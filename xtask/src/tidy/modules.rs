//! The modules of one crate, read from its sources: which file is which module, and what is for its tests only.
//!
//! Follows no `#[path]` attribute and expands no macro: neither is used for modules here.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Attribute, Item, ItemMod, Meta};

/// A Rust file, parsed.
pub struct Source<'a> {
    /// The file's path from the repository's folder, with forward slashes.
    pub path: &'a str,
    /// The file's text.
    pub text: &'a str,
    /// The file's syntax tree.
    pub syntax: syn::File,
}

/// The name of a module from the root of its crate, for instance `["sampler", "ddim"]`; empty for the root.
pub type ModulePath = Vec<String>;

/// The library or program in the folder `src` of one crate, without the files that are for its tests only.
pub struct CrateSources<'a> {
    /// The name of the crate's folder.
    pub name: &'a str,
    /// Each module with its file.
    pub modules: BTreeMap<ModulePath, &'a Source<'a>>,
}

/// Sorts the files below a folder `src` by crate; files of integration tests and of examples are left out.
pub fn by_crate<'a>(sources: &'a [Source<'a>]) -> Vec<CrateSources<'a>> {
    let mut crates: BTreeMap<&str, CrateSources> = BTreeMap::new();
    for source in sources {
        let Some((folder, file)) = source.path.split_once("/src/") else { continue };
        let name = folder.rsplit('/').next().unwrap_or(folder);
        let own = crates.entry(name).or_insert_with(|| CrateSources { name, modules: BTreeMap::new() });
        own.modules.insert(module_path(file), source);
    }
    let mut crates: Vec<CrateSources> = crates.into_values().collect();
    for own in &mut crates {
        own.leave_out_tests();
    }
    crates
}

/// The module that the file at `path` below `src` holds.
fn module_path(path: &str) -> ModulePath {
    let mut names: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(names.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        names.pop();
    }
    names
}

impl CrateSources<'_> {
    /// Drops the files that are declared by `#[cfg(test)] mod name;`, and what lies below them.
    fn leave_out_tests(&mut self) {
        let mut tests: BTreeSet<ModulePath> = BTreeSet::new();
        for (path, source) in &self.modules {
            for module in source.syntax.items.iter().filter_map(declared_module) {
                if is_for_tests(&module.attrs) {
                    tests.insert(child(path, &module.ident.to_string()));
                }
            }
        }
        self.modules.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
    }
}

/// The module called `name` inside of `parent`.
pub fn child(parent: &[String], name: &str) -> ModulePath {
    let mut path = parent.to_vec();
    path.push(name.to_owned());
    path
}

/// The declaration of a module that has a file of its own.
fn declared_module(item: &Item) -> Option<&ItemMod> {
    match item {
        Item::Mod(module) if module.content.is_none() => Some(module),
        _ => None,
    }
}

/// Whether what has these attributes is compiled for tests only.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        list.path.is_ident("cfg") && list.tokens.to_string() == "test"
    })
}

/// The attributes of an item; none for the kinds of item that this repository does not have.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_modules_without_those_of_tests() {
        let file =
            |path: &'static str, text: &'static str| Source { path, text, syntax: syn::parse_file(text).unwrap() };
        let sources = [
            file("crates/a/src/lib.rs", "mod b;\n#[cfg(test)]\nmod trial;\n"),
            file("crates/a/src/b/mod.rs", "mod c;\n#[cfg(test)]\nmod tests {}\n"),
            file("crates/a/src/b/c.rs", ""),
            file("crates/a/src/trial.rs", ""),
            file("crates/a/tests/whole.rs", ""),
            file("xtask/src/main.rs", ""),
        ];
        let crates = by_crate(&sources);
        let named: Vec<(&str, Vec<String>)> =
            crates.iter().map(|own| (own.name, own.modules.keys().map(|path| path.join("::")).collect())).collect();
        let of_a = vec![String::new(), "b".into(), "b::c".into()];
        assert_eq!(named, [("a", of_a), ("xtask", vec![String::new()])]);
    }
}
