//! What an ONNX file says of itself: its operators, their versions, the program that made it. Read without the runtime, so
//! that a file which the runtime refuses can be described too.
//!
//! Source: `onnx.proto` of the ONNX project, whose field numbers these are.

use std::collections::BTreeMap;

use crate::error::one_line;

/// What an ONNX file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The program that made it with its version, if it says so.
    pub producer: Option<String>,
    /// The version of each set of operators that it names; the usual set has no name.
    pub opsets: BTreeMap<String, u64>,
    /// How often it has each operator; those of other sets than the usual one as `set::name`.
    pub operators: BTreeMap<String, usize>,
}

/// A field of a message: its number and what it holds.
pub(crate) struct Field<'a> {
    pub number: u64,
    pub value: Content<'a>,
}

/// What a field holds.
pub(crate) enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, up to its end or to what is no field.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let tag = self.number()?;
            let number = tag >> 3;
            match tag & 7 {
                0 => return Some(Field { number, value: Content::Number(self.number()?) }),
                1 => self.bytes(8)?,
                2 => {
                    let length = usize::try_from(self.number()?).ok()?;
                    return Some(Field { number, value: Content::Bytes(self.bytes(length)?) });
                }
                5 => self.bytes(4)?,
                _ => return None,
            };
        }
    }
}

impl<'a> Fields<'a> {
    /// The number that comes next.
    pub fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << (7 * place).min(63);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// A node of the network: an operator at its place.
pub(crate) struct Node<'a> {
    /// Its name and that of its operator, for people.
    pub words: String,
    /// Its name and its set's, by which nodes are told apart.
    pub operator: String,
    bytes: &'a [u8],
}

impl Node<'_> {
    fn read(bytes: &[u8]) -> Node<'_> {
        let [mut name, mut operator, mut domain] = [const { String::new() }; 3];
        for field in Fields(bytes) {
            let Content::Bytes(value) = field.value else { continue };
            match field.number {
                3 => name = text(value),
                4 => operator = text(value),
                7 => domain = text(value),
                _ => {}
            }
        }
        let operator =
            if domain.is_empty() || domain == "ai.onnx" { operator } else { format!("{domain}::{operator}") };
        let words = if name.is_empty() { operator.clone() } else { format!("{operator} at {name}") };
        Node { words, operator, bytes }
    }

    /// A file with this node alone, whose inputs are given from outside.
    pub(crate) fn alone(&self, file: &[u8]) -> Vec<u8> {
        let mut graph = Vec::new();
        put(&mut graph, 1, self.bytes);
        for field in Fields(self.bytes) {
            let Content::Bytes(name) = field.value else { continue };
            if field.number <= 2 && !name.is_empty() {
                let mut port = Vec::new();
                put(&mut port, 1, name);
                put(&mut graph, 10 + field.number, &port);
            }
        }
        // The version of the format, which every file has.
        let mut model = vec![8, 8];
        for field in Fields(file) {
            if let Field { number: 8, value: Content::Bytes(opset) } = field {
                put(&mut model, 8, opset);
            }
        }
        put(&mut model, 7, &graph);
        model
    }
}

impl Listing {
    /// What `file`, the bytes of an ONNX file, says of itself; as much as can be read.
    pub fn of(file: &[u8]) -> Self {
        let mut listing = Self::default();
        let mut version = None;
        for field in Fields(file) {
            match (field.number, field.value) {
                (2, Content::Bytes(value)) => listing.producer = Some(text(value)),
                (3, Content::Bytes(value)) => version = Some(text(value)),
                (8, Content::Bytes(value)) => listing.take_opset(value),
                _ => {}
            }
        }
        if let (Some(name), Some(version)) = (&mut listing.producer, version.filter(|version| !version.is_empty())) {
            *name = format!("{name} {version}");
        }
        listing.producer = listing.producer.filter(|name| !name.trim().is_empty());
        for node in nodes(file) {
            *listing.operators.entry(node.operator).or_default() += 1;
        }
        listing
    }

    fn take_opset(&mut self, bytes: &[u8]) {
        let mut name = String::new();
        let mut version = 0;
        for field in Fields(bytes) {
            match (field.number, field.value) {
                (1, Content::Bytes(value)) => name = text(value),
                (2, Content::Number(value)) => version = value,
                _ => {}
            }
        }
        self.opsets.insert(name, version);
    }
}

/// The nodes of the network in the bytes of a file; those inside of other nodes are not among them.
pub(crate) fn nodes(file: &[u8]) -> Vec<Node<'_>> {
    let mut nodes = Vec::new();
    for field in Fields(file) {
        let Field { number: 7, value: Content::Bytes(graph) } = field else { continue };
        for field in Fields(graph) {
            if let Field { number: 1, value: Content::Bytes(node) } = field {
                nodes.push(Node::read(node));
            }
        }
    }
    nodes
}

/// A field of bytes.
fn put(message: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_number(message, number << 3 | 2);
    put_number(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn put_number(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

/// A stranger's text on one line, and not too long.
pub(crate) fn text(bytes: &[u8]) -> String {
    one_line(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_has_no_fields() {
        assert_eq!(Listing::of(b""), Listing::default());
        assert_eq!(Listing::of(&[0xff; 40]), Listing::default());
        // A length beyond the end.
        assert_eq!(Listing::of(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]), Listing::default());
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX)] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(Fields(&bytes).number(), Some(number));
        }
    }
}
