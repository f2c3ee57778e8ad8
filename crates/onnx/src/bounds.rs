//! What a file would make the runtime do is bounded before it does it: how many nodes there are and how deep graphs lie within
//! graphs, and how many values those operators make whose sizes are written in the file.
//!
//! Sizes that the network computes itself are known when it runs only, and are not bounded here.

use std::collections::HashMap;

use crate::listing::{Content, Field, Fields, text};

/// Networks for pictures have some thousands.
const MOST_NODES: usize = 50_000;
/// Bodies of loops and branches within each other.
const DEEPEST: usize = 16;
/// Values that one operator may make: 4 GB of f32.
const MOST_VALUES: f64 = (1_u64 << 30) as f64;
/// Longer constants are weights and no sizes.
const MOST_SIDES: usize = 64;

/// What is too much about a file; `None` if nothing is.
pub(crate) fn excess(file: &[u8]) -> Option<String> {
    let mut count = 0;
    for graph in messages(file, 7) {
        if let Some(what) = excess_of(graph, &HashMap::new(), &mut count, 0) {
            return Some(what);
        }
    }
    None
}

/// Constants by name.
type Constants = HashMap<Vec<u8>, Vec<f64>>;

fn excess_of(graph: &[u8], around: &Constants, count: &mut usize, depth: usize) -> Option<String> {
    if depth > DEEPEST {
        return Some(format!("its graphs lie more than {DEEPEST} deep within each other"));
    }
    let mut constants = around.clone();
    for tensor in messages(graph, 5) {
        if let (Some(name), Some(values)) = (messages(tensor, 8).next(), small_values(tensor)) {
            constants.insert(name.to_vec(), values);
        }
    }
    for node in messages(graph, 1) {
        *count += 1;
        if *count > MOST_NODES {
            return Some(format!("it has more than {MOST_NODES} operators"));
        }
        let operator = messages(node, 4).next().unwrap_or_default();
        if operator == b"Constant" {
            let output = messages(node, 2).next();
            if let (Some(output), Some(values)) = (output, messages(node, 5).find_map(constant)) {
                constants.insert(output.to_vec(), values);
            }
        }
        let values = made_by(operator, node, &constants);
        if values > MOST_VALUES {
            let name = text(operator);
            return Some(format!("its operator {name} would make {values:.0} values"));
        }
        for attribute in messages(node, 5) {
            for body in messages(attribute, 6).chain(messages(attribute, 11)) {
                if let Some(what) = excess_of(body, &constants, count, depth + 1) {
                    return Some(what);
                }
            }
        }
    }
    None
}

/// How many values an operator makes at least, as far as its constants tell.
fn made_by(operator: &[u8], node: &[u8], constants: &Constants) -> f64 {
    let inputs: Vec<&[u8]> = messages(node, 1).collect();
    let constant = |index: usize| inputs.get(index).and_then(|name| constants.get(*name));
    let product =
        |index: usize| constant(index).map_or(0.0, |sides| sides.iter().map(|side| side.abs().max(1.0)).product());
    match operator {
        b"Range" => {
            let [Some(start), Some(limit), Some(step)] = [0, 1, 2].map(constant) else { return 0.0 };
            let [Some(start), Some(limit), Some(step)] = [start, limit, step].map(|values| values.first()) else {
                return 0.0;
            };
            (limit - start) / step
        }
        b"ConstantOfShape" => product(0),
        b"Expand" | b"Tile" | b"Reshape" | b"OneHot" => product(1),
        b"Resize" => product(2).max(product(3)),
        b"Upsample" => product(1),
        b"Pad" => constant(1).map_or(0.0, |pads| pads.iter().copied().fold(0.0, f64::max)),
        _ => 0.0,
    }
}

/// What the attribute of a `Constant` holds, if it may be a size.
fn constant(attribute: &[u8]) -> Option<Vec<f64>> {
    match messages(attribute, 1).next()? {
        b"value" => small_values(messages(attribute, 5).next()?),
        b"value_int" => Some(whole_numbers(attribute, 3)),
        b"value_ints" => Some(whole_numbers(attribute, 8)),
        _ => None,
    }
}

/// The values of a tensor of a few numbers; `None` for others and for other kinds.
fn small_values(tensor: &[u8]) -> Option<Vec<f64>> {
    const FLOAT: f64 = 1.0;
    const INT32: f64 = 6.0;
    const INT64: f64 = 7.0;
    let kind = *whole_numbers(tensor, 2).first()?;
    let raw = messages(tensor, 9).next().unwrap_or_default();
    if raw.len() > 8 * MOST_SIDES {
        return None;
    }
    let values = match kind {
        INT64 if !raw.is_empty() => raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as f64).collect(),
        INT32 if !raw.is_empty() => {
            raw.as_chunks().0.iter().map(|bytes| f64::from(i32::from_le_bytes(*bytes))).collect()
        }
        FLOAT if !raw.is_empty() => {
            raw.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
        }
        INT64 => whole_numbers(tensor, 7),
        INT32 => whole_numbers(tensor, 5),
        FLOAT => {
            let mut values = Vec::new();
            for packed in messages(tensor, 4) {
                values.extend(packed.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))));
            }
            values
        }
        _ => return None,
    };
    if values.len() > MOST_SIDES { None } else { Some(values) }
}

/// The whole numbers of a field, packed or one by one; not many more than sizes have.
fn whole_numbers(message: &[u8], wanted: u64) -> Vec<f64> {
    let mut numbers = Vec::new();
    for Field { number, value } in Fields(message) {
        if number != wanted {
            continue;
        }
        match value {
            Content::Number(value) => numbers.push(value as i64 as f64),
            Content::Bytes(packed) => {
                let mut packed = Fields(packed);
                while let Some(value) = packed.number() {
                    numbers.push(value as i64 as f64);
                    if numbers.len() > MOST_SIDES {
                        return numbers;
                    }
                }
            }
        }
    }
    numbers
}

/// What a message holds in the field with this number: other messages, or texts.
fn messages(message: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    Fields(message).filter_map(move |Field { number, value }| match value {
        Content::Bytes(bytes) if number == wanted => Some(bytes),
        _ => None,
    })
}
