//! Networks that were pickled as objects, as ultralytics saves its detectors: which tensors are in them, by the names that
//! their `state_dict` would give. No class is needed for that, and nothing of one is run.

use super::pickle::{Id, Module, Node, Pickle, Refusal, unreadable};

/// Most objects and tensors that are looked at; a tree that shares its branches may seem larger than it is.
const MOST: usize = 20_000;
/// Longest name of a tensor.
const LONGEST: usize = 1000;
/// The keys under which ultralytics keeps a network; its averages come first.
const NETWORKS: [&str; 2] = ["ema", "model"];

/// Tensors in a tree of objects.
#[derive(Debug)]
pub(super) struct ModuleTree {
    /// Name and number of each.
    pub tensors: Vec<(String, Id)>,
    /// What its classes are called, as JSON.
    pub names: Option<String>,
}

/// The network of a file: its outermost object, or the one in its outermost dictionary.
pub(super) fn of(pickle: &Pickle) -> Result<Option<ModuleTree>, Refusal> {
    let mut root = None;
    if let Node::Module(module) = pickle.root() {
        root = Some(*module);
    }
    for key in NETWORKS {
        if let Some(id) = pickle.pairs(pickle.root_id()).and_then(|pairs| value(pickle, pairs, key))
            && let Node::Module(module) = pickle.node(id)
        {
            root = root.or(Some(*module));
        }
    }
    let Some(root) = root else { return Ok(None) };
    let names = state(pickle, root).and_then(|state| value(pickle, state, "names"));
    let names = names.and_then(|id| class_names(pickle, id));
    Ok(Some(ModuleTree { tensors: tensors(pickle, root)?, names }))
}

/// All tensors below `root`.
fn tensors(pickle: &Pickle, root: Module) -> Result<Vec<(String, Id)>, Refusal> {
    let mut tensors = Vec::new();
    let mut waiting = vec![(String::new(), root)];
    let mut seen = 0;
    while let Some((start, module)) = waiting.pop() {
        let Some(own) = state(pickle, module) else { continue };
        for group in ["_parameters", "_buffers", "_modules"] {
            let Some(items) = value(pickle, own, group).and_then(|id| pickle.pairs(id)) else { continue };
            for (key, item) in items {
                seen += 1;
                let Node::Text(key) = pickle.node(*key) else { continue };
                if seen > MOST || start.len() + key.len() > LONGEST {
                    return unreadable("its network has far too many layers, or names that are far too long");
                }
                let name = format!("{start}{key}");
                match pickle.node(*item) {
                    Node::Tensor(_) => tensors.push((name, *item)),
                    Node::Module(module) => waiting.push((format!("{name}."), *module)),
                    _ => {}
                }
            }
        }
    }
    Ok(tensors)
}

/// The state of an object, if it is a dictionary.
fn state<'a>(pickle: &'a Pickle, module: Module) -> Option<&'a [(Id, Id)]> {
    pickle.pairs(module.state?)
}

/// The value that a dictionary has under `name`; of equal keys the last counts.
fn value(pickle: &Pickle, pairs: &[(Id, Id)], name: &str) -> Option<Id> {
    let is_it = |key: Id| matches!(pickle.node(key), Node::Text(text) if *text == name);
    pairs.iter().rev().find(|(key, _)| is_it(*key)).map(|(_, value)| *value)
}

/// Names by number, as JSON; none if they are anything else.
fn class_names(pickle: &Pickle, id: Id) -> Option<String> {
    let mut names = serde_json::Map::new();
    for (number, name) in pickle.pairs(id)? {
        let Node::Int(number) = pickle.node(*number) else { return None };
        let Node::Text(name) = pickle.node(*name) else { return None };
        names.insert(number.to_string(), serde_json::Value::from(*name));
    }
    Some(serde_json::Value::Object(names).to_string())
}
