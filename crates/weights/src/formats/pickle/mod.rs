//! Python pickles as PyTorch writes them, read without running anything.
//!
//! A pickle is a program for a stack machine; in Python it may call any function. This machine knows no functions: it
//! builds plain containers and descriptions of tensors, turns every class that it does not know into an inert mark,
//! and refuses calls of all but a short list of these, whatever becomes of the result ([`globals`]). Memory is bounded: one small node for each opcode, so
//! many opcodes, nothing is ever copied, and nodes refer to each other by number, so that neither depth nor cycles
//! matter. Opcodes: <https://github.com/python/cpython/blob/main/Lib/pickletools.py>, protocols 0 to 5.

use std::collections::HashMap;

use safetensors::Dtype;

mod constant;
mod globals;
mod object;

/// More opcodes than this are not read. A real checkpoint has some 50 for each of its few thousand tensors.
const MAX_OPCODES: usize = 2_000_000;

/// Number of a node.
pub(crate) type Id = usize;

/// Why a pickle is not read.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The pickle is damaged or needs what is not supported, for this reason.
    Unreadable(String),
    /// The pickle names this function, which only an attack needs.
    Malicious(String),
    /// The pickle calls this class or function, which no model needs.
    Suspicious(String),
}

/// Shorthand for an unreadable pickle.
pub(crate) fn unreadable<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Unreadable(reason.into()))
}

/// A value; `'p` is the pickle's bytes.
#[derive(Debug)]
pub(crate) enum Node<'p> {
    /// A number or constant that says nothing about tensors: a float, `None`, bytes, a set.
    Opaque,
    /// A truth value.
    Bool(bool),
    /// A whole number of up to 64 bits.
    Int(i64),
    /// A longer whole number, little-endian.
    Long(&'p [u8]),
    /// Text; escapes of the old text opcodes stay as they are.
    Text(&'p str),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary, ordered or not; of equal keys the last counts.
    Dict(Vec<(Id, Id)>),
    /// A `ParameterDict`: the state that it was given, a dictionary which has its content as `_parameters`.
    Parameters(Option<Id>),
    /// An object of a class of networks, as it stands in the file.
    Module(Module<'p>),
    /// A class or function of PyTorch that is understood.
    Known(Known),
    /// A class that is not understood, or what came out of it: module and name.
    Inert(&'p str, &'p str),
    /// A buffer of numbers in another part of the file.
    Storage(Storage<'p>),
    /// A view of such a buffer.
    Tensor(Box<TensorView<'p>>),
}

/// An object of a class of networks, of which nothing but its state is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Module<'p> {
    /// The Python module of its class.
    pub(crate) place: &'p str,
    /// The name of its class.
    pub(crate) class: &'p str,
    /// What it was given: a dictionary with `_parameters`, `_buffers` and `_modules`.
    pub(crate) state: Option<Id>,
}

/// The classes and functions that are understood.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Known {
    /// `dict`, `collections.OrderedDict`, `collections.defaultdict`
    Dict,
    /// `copyreg._reconstructor`, by which the first protocols make an object of a class
    Reconstructor,
    /// `torch._utils._rebuild_tensor_v2` and its forerunner
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`, which says the type of the numbers itself
    RebuildTensorV3,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `torch.nn.ParameterDict`
    ParameterDict,
    /// `torch.Size`
    Size,
    /// `torch.float32` and its kin
    Dtype(Dtype),
    /// `torch.FloatStorage` and its kin
    Storage(Dtype),
}

/// A buffer of numbers in another part of the file, which torch calls a storage; tensors are views of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Storage<'p> {
    /// Type of the numbers.
    pub(crate) dtype: Dtype,
    /// Name of the buffer in the file.
    pub(crate) key: &'p str,
    /// In the old format: which of the named numbers is the first.
    pub(crate) first: usize,
}

/// Part of a storage as a tensor; offset and strides count numbers, not bytes.
#[derive(Debug)]
pub(crate) struct TensorView<'p> {
    /// Where the numbers are.
    pub(crate) storage: Storage<'p>,
    /// The first one.
    pub(crate) offset: usize,
    /// Extents.
    pub(crate) shape: Vec<usize>,
    /// Steps, as many as extents.
    pub(crate) strides: Vec<usize>,
}

/// What a pickle describes.
#[derive(Debug)]
pub(crate) struct Pickle<'p> {
    nodes: Vec<Node<'p>>,
    root: Id,
    /// How many bytes the pickle took.
    pub(crate) length: usize,
}

impl<'p> Pickle<'p> {
    /// Reads the pickle at the start of `bytes`.
    pub(crate) fn read(bytes: &'p [u8]) -> Result<Self, Refusal> {
        let mut machine = Machine { bytes, at: 0, nodes: vec![], stack: vec![], marks: vec![], memo: HashMap::new() };
        for _ in 0..MAX_OPCODES {
            let op = machine.take(1)?[0];
            if op == b'.' {
                let root = machine.pop()?;
                return Ok(Self { nodes: machine.nodes, root, length: machine.at });
            }
            machine.step(op)?;
        }
        unreadable("it is far too large for a checkpoint")
    }

    /// The outermost value.
    pub(crate) fn root(&self) -> &Node<'p> {
        &self.nodes[self.root]
    }

    /// All storages that the pickle names.
    pub(crate) fn storages(&self) -> impl Iterator<Item = Storage<'p>> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Storage(storage) => Some(*storage),
            _ => None,
        })
    }

    /// The pairs of a dictionary, or of a `ParameterDict`; none if the node is neither.
    pub(crate) fn pairs(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(items) => Some(items),
            Node::Parameters(Some(state)) => {
                let Node::Dict(state) = self.node(*state) else { return None };
                for (key, value) in state.iter().rev() {
                    if let Node::Text("_parameters") = self.node(*key) {
                        let Node::Dict(items) = self.node(*value) else { return None };
                        return Some(items);
                    }
                }
                None
            }
            _ => None,
        }
    }

    /// The number of the outermost value.
    pub(crate) fn root_id(&self) -> Id {
        self.root
    }

    /// The value with this number.
    pub(crate) fn node(&self, id: Id) -> &Node<'p> {
        &self.nodes[id]
    }
}

struct Machine<'p> {
    bytes: &'p [u8],
    at: usize,
    nodes: Vec<Node<'p>>,
    stack: Vec<Id>,
    /// Heights of the stack at its open marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'p> Machine<'p> {
    fn step(&mut self, op: u8) -> Result<(), Refusal> {
        if let Some(node) = self.constant(op)? {
            self.push(node);
            return Ok(());
        }
        match op {
            // Protocol and frame lengths: hints for readers of streams.
            0x80 => self.take(1).map(drop)?,
            0x95 => self.take(8).map(drop)?,
            b'(' => self.marks.push(self.stack.len()),
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = self.pop()?;
                self.stack.extend([top, top]);
            }
            b'g' | b'h' | b'j' => self.recall(op)?,
            b'p' | b'q' | b'r' | 0x94 => self.remember(op)?,
            b')' | b't' | 0x85..=0x87 => self.tuple(op)?,
            b'l' | b'd' | 0x91 => self.gather(op)?,
            b'a' | b'e' | b's' | b'u' | 0x90 => self.add(op)?,
            b'c' | b'i' | b'o' | b'b' | b'R' | b'Q' | 0x81 | 0x92 | 0x93 => self.object(op)?,
            _ => return unreadable(format!("its pickle has the opcode {op:#04x}, which no checkpoint needs")),
        }
        Ok(())
    }

    fn recall(&mut self, op: u8) -> Result<(), Refusal> {
        let number = match op {
            b'g' => self.decimal()?,
            b'h' => self.number(1)?,
            _ => self.number(4)?,
        };
        match self.memo.get(&number) {
            Some(id) => self.stack.push(*id),
            None => return unreadable(format!("its pickle is damaged: it recalls value {number}, which is none")),
        }
        Ok(())
    }

    fn remember(&mut self, op: u8) -> Result<(), Refusal> {
        let number = match op {
            b'p' => self.decimal()?,
            b'q' => self.number(1)?,
            b'r' => self.number(4)?,
            _ => self.memo.len() as u64,
        };
        let top = self.pop()?;
        self.stack.push(top);
        self.memo.insert(number, top);
        Ok(())
    }

    fn tuple(&mut self, op: u8) -> Result<(), Refusal> {
        let items = match op {
            b')' => Vec::new(),
            b't' => self.pop_mark()?,
            _ => {
                let mut items = Vec::new();
                for _ in 0..op - 0x84 {
                    items.insert(0, self.pop()?);
                }
                items
            }
        };
        self.push(Node::Tuple(items));
        Ok(())
    }

    fn gather(&mut self, op: u8) -> Result<(), Refusal> {
        let items = self.pop_mark()?;
        let node = match op {
            b'l' => Node::List(items),
            b'd' => Node::Dict(pairs(&items)?),
            _ => Node::Opaque,
        };
        self.push(node);
        Ok(())
    }

    fn add(&mut self, op: u8) -> Result<(), Refusal> {
        let items = match op {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                vec![key, value]
            }
            _ => self.pop_mark()?,
        };
        let to = self.pop()?;
        self.stack.push(to);
        match (&mut self.nodes[to], op) {
            (Node::List(list), b'a' | b'e') => list.extend(items),
            (Node::Dict(dict), b's' | b'u') => dict.extend(pairs(&items)?),
            // What an unknown class is filled with is no concern of ours.
            (Node::Opaque | Node::Inert(..), _) => {}
            _ => return unreadable("its pickle is damaged: it fills what is no container"),
        }
        Ok(())
    }

    fn push(&mut self, node: Node<'p>) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    /// The top of the stack, unless a mark is in between.
    fn pop(&mut self) -> Result<Id, Refusal> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(id) if self.stack.len() >= floor => Ok(id),
            _ => unreadable("its pickle is damaged: it takes a value where there is none"),
        }
    }

    /// Everything above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>, Refusal> {
        match self.marks.pop() {
            Some(height) if height <= self.stack.len() => Ok(self.stack.split_off(height)),
            _ => unreadable("its pickle is damaged: a mark is missing"),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'p [u8], Refusal> {
        match self.bytes[self.at..].split_at_checked(count) {
            Some((taken, _)) => {
                self.at += count;
                Ok(taken)
            }
            None => unreadable("its pickle ends too early; download or copy it again"),
        }
    }

    /// A little-endian number of up to eight bytes.
    fn number(&mut self, bytes: usize) -> Result<u64, Refusal> {
        let mut whole = [0; 8];
        whole[..bytes].copy_from_slice(self.take(bytes)?);
        Ok(u64::from_le_bytes(whole))
    }

    /// Text up to the end of the line, which is skipped.
    fn line(&mut self) -> Result<&'p str, Refusal> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            return unreadable("its pickle ends too early; download or copy it again");
        };
        let line = self.take(length + 1)?;
        text(&line[..length])
    }

    fn decimal(&mut self) -> Result<u64, Refusal> {
        self.line()?.parse().or_else(|_| unreadable("its pickle is damaged: a number is none"))
    }
}

fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).or_else(|_| unreadable("its pickle is damaged: text that is none"))
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, Refusal> {
    match items.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => unreadable("its pickle is damaged: a key has no value"),
    }
}
