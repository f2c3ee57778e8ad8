//! Hypernetworks of the web UI as PyTorch saves them: for each width of attention's input a list of two dictionaries of
//! tensors, and beside these what the layers are.

use super::pickle::{Node, Pickle, Refusal, unreadable};
use super::torch_file::{Content, read_by, tensors, under};
use super::torch_storages::{Storages, check_sharing};
use crate::Error;

/// The most widths: Stable Diffusion has four.
const MOST_WIDTHS: usize = 16;
/// What is told of the layers.
const ABOUT: [&str; 5] = ["name", "activation_func", "is_layer_norm", "activate_output", "sd_checkpoint_name"];

/// Reads where the tensors of a hypernetwork are; `label` stands for its path in messages.
pub(super) fn read(label: &str, bytes: &[u8]) -> Result<Content, Error> {
    read_by(label, bytes, located)
}

fn located(pickle: &Pickle, storages: &Storages) -> Result<Content, Refusal> {
    const NONE: &str = "it is no hypernetwork of the web UI: it has no layers for a width";
    let Some(items) = pickle.pairs(pickle.root_id()) else { return unreadable(NONE) };
    let mut content = Content::default();
    let mut widths = 0;
    for (key, value) in items {
        let (Node::Int(width), Node::List(pair) | Node::Tuple(pair)) = (pickle.node(*key), pickle.node(*value)) else {
            continue;
        };
        widths += 1;
        if pair.len() != 2 || widths > MOST_WIDTHS {
            return unreadable(NONE);
        }
        for (which, state) in pair.iter().enumerate() {
            let Some(items) = pickle.pairs(*state) else { return unreadable(NONE) };
            for (name, tensor) in tensors(pickle, items, storages)? {
                content.tensors.insert(format!("{width}.{which}.{name}"), tensor);
            }
        }
    }
    if content.tensors.is_empty() {
        return unreadable(NONE);
    }
    check_sharing(&content.tensors, storages)?;
    for key in ABOUT {
        let Some(id) = under(pickle, key) else { continue };
        let value = match pickle.node(id) {
            Node::Text(text) => (*text).to_string(),
            Node::Bool(flag) => flag.to_string(),
            _ => continue,
        };
        content.metadata.insert(key.to_string(), value);
    }
    Ok(content)
}
