//! Opcodes that name classes and, in Python, call them. Here the few that are understood are looked up by hand.

use super::globals::{Verdict, is_network, is_usual_call, verdict};
use super::{Id, Known, Machine, Module, Node, Refusal, Storage, TensorView, unreadable};

/// More axes than this has no tensor.
const MAX_AXES: usize = 8;

impl<'p> Machine<'p> {
    pub(super) fn object(&mut self, op: u8) -> Result<(), Refusal> {
        match op {
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.global(module, name)?;
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                let (Node::Text(module), Node::Text(name)) = (&self.nodes[module], &self.nodes[name]) else {
                    return unreadable("its pickle hides which class it asks for, as only an attack does");
                };
                self.global(module, name)?;
            }
            b'i' => {
                let module = self.line()?;
                let name = self.line()?;
                self.pop_mark()?;
                self.global(module, name)?;
                self.call(None)?;
            }
            b'o' => {
                let items = self.pop_mark()?;
                let Some(class) = items.first() else {
                    return unreadable("its pickle is damaged: an object without a class");
                };
                self.stack.push(*class);
                self.call(None)?;
            }
            b'b' => self.build()?,
            b'Q' => self.persistent()?,
            _ => {
                if op == 0x92 {
                    self.pop()?;
                }
                let args = self.pop()?;
                self.call(Some(args))?;
            }
        }
        Ok(())
    }

    /// Pushes what stands for a class or function.
    fn global(&mut self, module: &'p str, name: &'p str) -> Result<(), Refusal> {
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte));
        if !plain(module) || !plain(name) {
            return unreadable("its pickle hides which class it asks for, as only an attack does");
        }
        let node = match verdict(module, name) {
            Verdict::Malicious => return Err(Refusal::Malicious(format!("{module}.{name}"))),
            Verdict::Inert => Node::Inert(module, name),
            Verdict::Known(known) => Node::Known(known),
        };
        self.push(node);
        Ok(())
    }

    /// Replaces the class on top of the stack by what it makes of `args`, a tuple; without, of arguments unknown here.
    fn call(&mut self, args: Option<Id>) -> Result<(), Refusal> {
        let class = self.pop()?;
        let args: &[Id] = match args.map(|args| &self.nodes[args]) {
            Some(Node::Tuple(args)) => args,
            Some(_) => return unreadable("its pickle is damaged: arguments that are no tuple"),
            None => &[],
        };
        let node = match (&self.nodes[class], args) {
            (Node::Inert(module, name), _) => called(module, name)?,
            (Node::Known(Known::Dict), args) => {
                let given = args.first().copied();
                return self.dictionary(given);
            }
            (Node::Known(Known::ParameterDict), _) => Node::Parameters(None),
            (Node::Known(Known::Reconstructor), [class, _, state]) => match &self.nodes[*class] {
                Node::Known(Known::Dict) => {
                    let state = *state;
                    return self.dictionary(Some(state));
                }
                Node::Known(Known::ParameterDict) => Node::Parameters(None),
                Node::Inert(module, name) => called(module, name)?,
                _ => return unreadable("its pickle is damaged: it calls what is no class"),
            },
            // These two hand on what they are given, so nothing is copied.
            (Node::Known(Known::RebuildParameter | Known::Size), [given, ..]) => {
                self.stack.push(*given);
                return Ok(());
            }
            (Node::Known(Known::RebuildTensor), args) => self.tensor(args, false)?,
            (Node::Known(Known::RebuildTensorV3), args) => self.tensor(args, true)?,
            _ => return unreadable("its pickle is damaged: it calls what is no class"),
        };
        self.push(node);
        Ok(())
    }

    /// Pushes the dictionary that is made of `given`: of nothing, of another one, of a class (that of a `defaultdict`'s
    /// values), or, as Python 2 has it, of a list of pairs. What is given is taken over, not copied: a pickle of a few
    /// bytes could ask for that again and again.
    fn dictionary(&mut self, given: Option<Id>) -> Result<(), Refusal> {
        match given.map(|id| (id, &self.nodes[id])) {
            Some((id, Node::Dict(_))) => self.stack.push(id),
            Some((id, Node::List(items))) => {
                let pair = |id: &Id| match &self.nodes[*id] {
                    Node::List(pair) | Node::Tuple(pair) if pair.len() == 2 => Some((pair[0], pair[1])),
                    _ => None,
                };
                match items.iter().map(pair).collect() {
                    Some(pairs) => self.nodes[id] = Node::Dict(pairs),
                    None => return unreadable("its pickle is damaged: a dictionary of what is no pair"),
                }
                self.stack.push(id);
            }
            None | Some((_, Node::Opaque | Node::Inert(..) | Node::Known(_))) => self.push(Node::Dict(Vec::new())),
            Some(_) => return unreadable("its pickle is damaged: a dictionary of what is no pair"),
        }
        Ok(())
    }

    /// Takes the state of an object: of a `ParameterDict`, of an unknown class, or what PyTorch notes about a dictionary.
    fn build(&mut self) -> Result<(), Refusal> {
        let state = self.pop()?;
        let object = self.pop()?;
        self.stack.push(object);
        if let Node::Parameters(own) | Node::Module(Module { state: own, .. }) = &mut self.nodes[object] {
            *own = Some(state);
        }
        Ok(())
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, strides, …)`; `_rebuild_tensor_v3` has two further arguments that do
    /// not matter and then the type, its storage is one of bytes.
    fn tensor(&self, args: &[Id], typed: bool) -> Result<Node<'p>, Refusal> {
        let node = |index: usize| args.get(index).map(|id| &self.nodes[*id]);
        for part in [node(0), node(6).filter(|_| typed)] {
            if let Some(Node::Inert(module, name)) = part {
                return Ok(Node::Inert(module, name));
            }
        }
        match self.view(args, typed) {
            Some(view) => Ok(Node::Tensor(Box::new(view))),
            None => unreadable("its pickle is damaged: a tensor without storage, shape or strides"),
        }
    }

    /// The view that these arguments of [`Self::tensor`] describe.
    fn view(&self, args: &[Id], typed: bool) -> Option<TensorView<'p>> {
        let node = |index: usize| args.get(index).map(|id| &self.nodes[*id]);
        let Node::Storage(storage) = node(0)? else { return None };
        let mut storage = *storage;
        if typed {
            let Node::Known(Known::Dtype(dtype)) = node(6)? else { return None };
            // Where it begins would count other numbers than the tensor has.
            if storage.first != 0 {
                return None;
            }
            storage.dtype = *dtype;
        }
        let Node::Int(offset) = node(1)? else { return None };
        let offset = usize::try_from(*offset).ok()?;
        let shape = self.extents(node(2)?)?;
        let strides = self.extents(node(3)?)?;
        if shape.len() != strides.len() {
            return None;
        }
        Some(TensorView { storage, offset, shape, strides })
    }

    /// The whole numbers of a tuple, if it is one.
    fn extents(&self, node: &Node) -> Option<Vec<usize>> {
        let Node::Tuple(items) = node else { return None };
        if items.len() > MAX_AXES {
            return None;
        }
        let mut extents = Vec::with_capacity(items.len());
        for id in items {
            let Node::Int(extent) = &self.nodes[*id] else { return None };
            extents.push(usize::try_from(*extent).ok()?);
        }
        Some(extents)
    }

    /// A storage: `('storage', class, key, device, count, view)`, where view is `(key, first, count)` in old files. These
    /// also have `('module', class, file, source)`: a class with the text of its program, which is passed over.
    fn persistent(&mut self) -> Result<(), Refusal> {
        let id = self.pop()?;
        if let Node::Tuple(items) = &self.nodes[id]
            && let [kind, class, ..] = items[..]
            && matches!(self.nodes[kind], Node::Text("module"))
        {
            self.stack.push(class);
            return Ok(());
        }
        match self.storage(id) {
            Some(node) => self.push(node),
            None => return unreadable("its pickle is damaged: it refers to what is no storage"),
        }
        Ok(())
    }

    /// The storage that the tuple `id` describes, or what stands for one of an unknown class.
    fn storage(&self, id: Id) -> Option<Node<'p>> {
        let Node::Tuple(items) = &self.nodes[id] else { return None };
        let node = |index: usize| items.get(index).map(|id| &self.nodes[*id]);
        let Node::Text("storage") = node(0)? else { return None };
        let Node::Text(key) = node(2)? else { return None };
        let first = match node(5) {
            Some(Node::Tuple(view)) => match &self.nodes[*view.get(1)?] {
                Node::Int(first) => usize::try_from(*first).ok()?,
                _ => return None,
            },
            _ => 0,
        };
        match node(1)? {
            Node::Known(Known::Storage(dtype)) => Some(Node::Storage(Storage { dtype: *dtype, key, first })),
            Node::Inert(module, name) => Some(Node::Inert(module, name)),
            _ => None,
        }
    }
}

/// What stands for the result of a call of what is not understood.
fn called<'p>(module: &'p str, name: &'p str) -> Result<Node<'p>, Refusal> {
    if is_network(module, name) {
        return Ok(Node::Module(Module { place: module, class: name, state: None }));
    }
    if is_usual_call(module, name) {
        return Ok(Node::Inert(module, name));
    }
    Err(Refusal::Suspicious(format!("{module}.{name}")))
}
