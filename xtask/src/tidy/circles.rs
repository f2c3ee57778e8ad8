//! Files of one crate that import each other in a circle: arrows point one way inside crates too.
//!
//! A file imports another if it names an item that the other declares, in a `use` or in a path that is written out. A
//! re-export is followed to the file that has the item. What a module's own file (`mod.rs`, `lib.rs`) names of the
//! modules below it is no import: it is there to offer them, to choose between them and to put them together, and they
//! may use its types, as the kinds of a trait do. Methods are called without an import, so the `impl` blocks of a type
//! may stand in several files. Unit tests are left out.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::imports::Names;
use super::modules::{CrateSources, ModulePath, child};

/// How many re-exports are followed before a name is given up.
const MOST_REEXPORTS: usize = 8;

/// For each module the modules that it imports, each with the line of the first import.
pub type Imports = BTreeMap<ModulePath, BTreeMap<ModulePath, usize>>;

/// One finding for each group of files that import each other in a circle.
pub fn check(own: &CrateSources) -> Vec<Finding> {
    let imports = imports(own);
    groups(&imports).iter().map(|group| finding(own, &imports, group)).collect()
}

/// Which module of the crate imports which.
pub fn imports(own: &CrateSources) -> Imports {
    let names: BTreeMap<&ModulePath, Names> =
        own.modules.iter().map(|(path, source)| (path, Names::read(&source.syntax))).collect();
    let resolver = Resolver { names: &names };
    names.keys().map(|module| ((*module).clone(), resolver.imports_of(module))).collect()
}

/// Modules that reach each other, as far as there are more than one.
pub fn groups(imports: &Imports) -> Vec<Vec<ModulePath>> {
    let reached: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> =
        imports.keys().map(|module| (module, reachable(imports, module))).collect();
    let mut groups: Vec<Vec<ModulePath>> = Vec::new();
    for module in imports.keys() {
        if groups.iter().any(|group| group.contains(module)) {
            continue;
        }
        let circle = reached[module].iter().filter(|other| reached[**other].contains(module));
        let group: Vec<ModulePath> = circle.map(|other| (*other).clone()).collect();
        if group.len() > 1 {
            groups.push(group);
        }
    }
    groups
}

fn reachable<'a>(imports: &'a Imports, start: &'a ModulePath) -> BTreeSet<&'a ModulePath> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(module) = open.pop() {
        for imported in imports.get(module).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(imported) {
                open.push(imported);
            }
        }
    }
    reached
}

fn finding(own: &CrateSources, imports: &Imports, group: &[ModulePath]) -> Finding {
    let mut edges = Vec::new();
    for module in group {
        for (imported, line) in imports[module].iter().filter(|(imported, _)| group.contains(imported)) {
            edges.push(format!("\n    {}:{line} imports {}", own.modules[module].path, own.modules[imported].path));
        }
    }
    let what = format!(
        "{} files import each other in a circle; move what both sides need into a file that imports neither:{}",
        group.len(),
        edges.concat()
    );
    Finding::new(own.modules[&group[0]].path, what)
}

/// What a path leads to.
struct Found {
    module: ModulePath,
    /// An item of the module, not the module as a whole.
    is_item: bool,
}

struct Resolver<'a> {
    names: &'a BTreeMap<&'a ModulePath, Names>,
}

impl Resolver<'_> {
    fn imports_of(&self, module: &ModulePath) -> BTreeMap<ModulePath, usize> {
        let names = &self.names[module];
        let mut found = Vec::new();
        for path in names.imported.values().chain(&names.written_out) {
            match self.resolve(module, &path.names, MOST_REEXPORTS) {
                Some(to) if to.is_item => found.push((to.module, path.line)),
                // A whole module in scope: what is used of it counts. `None`: another crate.
                _ => {}
            }
        }
        for glob in &names.globs {
            if let Some(to) = self.resolve(module, &glob.names, MOST_REEXPORTS) {
                found.push((to.module, glob.line));
            }
        }
        let mut imports = BTreeMap::new();
        for (imported, line) in found {
            let is_below = imported.starts_with(module);
            if !is_below {
                imports.entry(imported).or_insert(line);
            }
        }
        imports
    }

    /// What `path`, written in `module`, leads to; `None` if that is in another crate. Follows `most` imports.
    fn resolve(&self, module: &ModulePath, path: &[String], most: usize) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.inside(Vec::new(), rest, most),
            "self" => self.inside(module.clone(), rest, most),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let start = module[..module.len().checked_sub(ups)?].to_vec();
                self.inside(start, &path[ups..], most)
            }
            _ if self.has(module, first, most) => self.inside(module.clone(), path, most),
            _ => None,
        }
    }

    /// Whether `name` is a child, an item or an import of `module`.
    fn has(&self, module: &ModulePath, name: &str, most: usize) -> bool {
        let Some(names) = self.names.get(module) else { return false };
        let is_child = self.names.contains_key(&child(module, name));
        let is_item = names.items.iter().any(|item| item == name);
        is_child || is_item || names.imported.contains_key(name) || self.glob_with(module, name, most).is_some()
    }

    /// The module from which `module` takes `name` by taking everything.
    fn glob_with(&self, module: &ModulePath, name: &str, most: usize) -> Option<ModulePath> {
        let most = most.checked_sub(1)?;
        for glob in &self.names[module].globs {
            if let Some(Found { module: from, is_item: false }) = self.resolve(module, &glob.names, most)
                && from != *module
                && self.has(&from, name, most)
            {
                return Some(from);
            }
        }
        None
    }

    /// What `path`, read from `module` on, leads to.
    fn inside(&self, module: ModulePath, path: &[String], most: usize) -> Option<Found> {
        let Some((first, rest)) = path.split_first() else { return Some(Found { module, is_item: false }) };
        let below = child(&module, first);
        if self.names.contains_key(&below) {
            return self.inside(below, rest, most);
        }
        let names = self.names.get(&module)?;
        if !names.items.contains(first) {
            let most = most.checked_sub(1)?;
            if let Some(import) = names.imported.get(first) {
                // `use image;` imports a crate under its own name.
                let is_itself = import.names[0] == *first;
                let path = [&import.names, rest].concat();
                return if is_itself { None } else { self.resolve(&module, &path, most) };
            }
            if let Some(from) = self.glob_with(&module, first, most) {
                return self.inside(from, path, most);
            }
        }
        Some(Found { module, is_item: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::modules::{Source, by_crate};

    /// What is found in a crate with these files below `src`.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let paths: Vec<String> = files.iter().map(|(path, _)| format!("crates/a/src/{path}")).collect();
        let sources: Vec<Source> = files
            .iter()
            .zip(&paths)
            .map(|((_, text), path)| Source { path, text, syntax: syn::parse_file(text).unwrap() })
            .collect();
        by_crate(&sources).iter().flat_map(check).map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_circle_is_named_with_its_files_and_lines() {
        let told = found(&[
            (
                "lib.rs",
                "mod a;
mod b;
mod c;
",
            ),
            (
                "a.rs",
                "use std::fs;
use crate::b::B;
pub struct A;
",
            ),
            (
                "b.rs",
                "pub struct B;

fn c() -> crate::c::C {}
",
            ),
            (
                "c.rs",
                "pub struct C(super::a::A);
",
            ),
        ]);
        assert_eq!(told.len(), 1);
        assert!(told[0].starts_with("crates/a/src/a.rs: 3 files import each other in a circle; "), "{told:?}");
        let edges: Vec<&str> = told[0].lines().skip(1).map(str::trim).collect();
        assert_eq!(edges[0], "crates/a/src/a.rs:2 imports crates/a/src/b.rs");
        assert_eq!(edges[1], "crates/a/src/b.rs:3 imports crates/a/src/c.rs");
        assert_eq!(edges[2], "crates/a/src/c.rs:1 imports crates/a/src/a.rs");
    }

    #[test]
    fn a_reexport_does_not_hide_a_circle() {
        let told = found(&[
            (
                "lib.rs",
                "mod a;
mod b;
pub use a::*;
pub use b::B as Bee;
",
            ),
            (
                "a.rs",
                "use crate::Bee;
pub struct A(Bee);
",
            ),
            (
                "b.rs",
                "pub fn b(a: &crate::A) {}
pub struct B;
",
            ),
        ]);
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn a_module_may_choose_between_its_children() {
        let told = found(&[
            (
                "lib.rs",
                "mod a;
pub use a::A;
pub enum Kind { A(A) }
pub trait Act {}
",
            ),
            (
                "a.rs",
                "use crate::Act;
pub struct A;
impl Act for A {}
",
            ),
        ]);
        assert_eq!(told, [""; 0]);
    }

    #[test]
    fn a_module_in_scope_is_an_import_only_of_what_is_used() {
        let told = found(&[
            (
                "lib.rs",
                "mod a;
mod b;
mod c;
",
            ),
            (
                "a.rs",
                "use crate::b;
pub struct A(b::C);
",
            ),
            (
                "b.rs",
                "pub use crate::c::C;
pub struct B(crate::a::A);
",
            ),
            (
                "c.rs",
                "pub struct C;
",
            ),
        ]);
        assert_eq!(told, [""; 0], "a needs c, and b needs a");
    }

    #[test]
    fn unit_tests_may_use_anything() {
        let told = found(&[
            (
                "lib.rs",
                "mod a;
mod b;
",
            ),
            (
                "a.rs",
                "pub struct A;
#[cfg(test)]
mod tests {
    use crate::b::B;
}
",
            ),
            (
                "b.rs",
                "use crate::a::A;
pub struct B(A);
",
            ),
        ]);
        assert_eq!(told, [""; 0]);
    }
}
