//! Opcodes that push a constant: numbers, text, empty containers.

use super::{Machine, Node, Refusal, text, unreadable};

impl<'p> Machine<'p> {
    /// The value that this opcode pushes, if it is one of these.
    pub(super) fn constant(&mut self, op: u8) -> Result<Option<Node<'p>>, Refusal> {
        Ok(Some(match op {
            b'N' | 0x8f => Node::Opaque,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'J' => Node::Int(i64::from(self.number(4)? as u32 as i32)),
            b'K' => Node::Int(self.number(1)? as i64),
            b'M' => Node::Int(self.number(2)? as i64),
            b'I' | b'L' => match self.line()? {
                "00" => Node::Bool(false),
                "01" => Node::Bool(true),
                line => line.trim_end_matches('L').parse().map_or(Node::Opaque, Node::Int),
            },
            0x8a => long(self.sized(1)?),
            0x8b => long(self.sized(4)?),
            b'F' => self.line().map(|_| Node::Opaque)?,
            b'G' => self.take(8).map(|_| Node::Opaque)?,
            b'B' => self.sized(4).map(|_| Node::Opaque)?,
            b'C' => self.sized(1).map(|_| Node::Opaque)?,
            0x8e | 0x96 => self.sized(8).map(|_| Node::Opaque)?,
            b'V' => Node::Text(self.line()?),
            b'S' => Node::Text(self.line()?.trim_matches(['\'', '"'])),
            b'X' => Node::Text(text(self.sized(4)?)?),
            0x8c => Node::Text(text(self.sized(1)?)?),
            0x8d => Node::Text(text(self.sized(8)?)?),
            // Strings of Python 2 may be bytes.
            b'T' => bytes(self.sized(4)?),
            b'U' => bytes(self.sized(1)?),
            b']' => Node::List(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            _ => return Ok(None),
        }))
    }

    /// The bytes behind a number of `width` bytes, which says how many they are.
    fn sized(&mut self, width: usize) -> Result<&'p [u8], Refusal> {
        let length = self.number(width)?;
        match usize::try_from(length) {
            Ok(length) => self.take(length),
            Err(_) => unreadable("its pickle ends too early; download or copy it again"),
        }
    }
}

fn bytes(bytes: &[u8]) -> Node<'_> {
    std::str::from_utf8(bytes).map_or(Node::Opaque, Node::Text)
}

/// A number in two's complement.
fn long(bytes: &[u8]) -> Node<'_> {
    if bytes.len() > 8 {
        return Node::Long(bytes);
    }
    let fill = if bytes.last().is_some_and(|top| top & 0x80 != 0) { 0xff } else { 0 };
    let mut whole = [fill; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(whole))
}
