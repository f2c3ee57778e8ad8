//! PyTorch's files (`.ckpt`, `.pt`, `.pth`, `.bin`): which tensors they have, and where in the file.
//!
//! Knows both containers: the zip archive of PyTorch 1.6 and later, whose entries are not packed, and the row of
//! pickles before it. The pickle in both is read by [`super::pickle`], which runs nothing. Numbers stay where they are; the
//! checksums that an archive keeps of them are handed on, for whoever reads them.
//! Formats: `torch/serialization.py`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use rawzip::{CompressionMethod, ZipArchive};
use safetensors::Dtype;

use super::module_tree::{self, ModuleTree};
use super::pickle::{Id, Module, Node, Pickle, Refusal, unreadable};
use super::stored_tensor::StoredTensor;
use super::torch_storages::{Storages, check_sharing, outside, placed, size_of};
use crate::Error;

/// Longest pickle that is read. Those of real checkpoints are below one megabyte.
const MAX_PICKLE: usize = 1 << 24;
/// Most entries of an archive. A real one has as many as tensors.
const MAX_ENTRIES: u64 = 200_000;
/// What the first pickle of the old format says.
const MAGIC: &[u8] = b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
/// The keys under which training programs keep the weights; the last two are those of upscalers.
const WEIGHTS: [&str; 3] = ["state_dict", "params_ema", "params"];
/// Keys that only the web UI's hypernetworks have.
const HYPERNETWORK: [&str; 2] = ["layer_structure", "activation_func"];

/// The key under which a textual inversion keeps its vectors, and what else of it is told.
const VECTORS: &str = "string_to_param";
const ABOUT_VECTORS: [&str; 4] = ["name", "step", "sd_checkpoint", "sd_checkpoint_name"];

/// The tensors of a file, and what is known beside them.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// The tensors by name.
    pub tensors: BTreeMap<String, StoredTensor>,
    /// What a textual inversion says of itself.
    pub metadata: BTreeMap<String, String>,
    /// The checksums of an archive's parts, in the order of the parts.
    pub sums: Vec<Sum>,
}

/// A part of an archive and its checksum.
#[derive(Debug)]
pub(crate) struct Sum {
    /// Name of the part.
    pub entry: String,
    /// Where the part is in the file.
    pub bytes: Range<usize>,
    /// CRC32 of the part.
    pub crc: u32,
}

impl Sum {
    /// Whether the bytes of `file` have this checksum. PyTorch can be told to leave it out, and writes 0 then.
    pub(crate) fn holds(&self, file: &[u8]) -> bool {
        let mut crc = flate2::Crc::new();
        crc.update(&file[self.bytes.clone()]);
        self.crc == 0 || crc.sum() == self.crc
    }

    /// What to say if the bytes of a file do not have this checksum.
    pub(crate) fn broken(&self) -> String {
        format!("its entry {} is damaged (its checksum differs); download or copy it again", self.entry)
    }
}

/// Whether a file that begins so is one of PyTorch, whatever its name.
pub(crate) fn is_torch(bytes: &[u8]) -> bool {
    matches!(bytes, [b'P', b'K', 3 | 5, 4 | 6, ..] | [0x80, 2..=5, ..])
}

/// What finds the tensors in a pickle.
pub(super) type Locate = fn(&Pickle, &Storages) -> Result<Content, Refusal>;

/// Reads where the tensors of a file are; `label` stands for its path in messages.
pub(crate) fn read(label: &str, bytes: &[u8]) -> Result<Content, Error> {
    read_by(label, bytes, located)
}

/// Reads where the tensors of a file are that `locate` finds in its pickle.
pub(super) fn read_by(label: &str, bytes: &[u8], locate: Locate) -> Result<Content, Error> {
    let read = if bytes.starts_with(b"PK") { zipped(bytes, locate) } else { legacy(bytes, locate) };
    read.map_err(|refusal| match refusal {
        Refusal::Unreadable(reason) => Error::NotTorch { file: label.to_string(), reason },
        Refusal::Malicious(function) => Error::Malicious { file: label.to_string(), function },
        Refusal::Suspicious(function) => Error::Suspicious { file: label.to_string(), function },
    })
}

fn zipped(bytes: &[u8], locate: Locate) -> Result<Content, Refusal> {
    let damaged = |error: rawzip::Error| {
        Refusal::Unreadable(format!("it is cut short or damaged ({error}); download or copy it again"))
    };
    let archive = ZipArchive::from_slice(bytes).map_err(damaged)?;
    if archive.entries_hint() > MAX_ENTRIES {
        return unreadable("it has far too many entries for a checkpoint");
    }
    let mut files: HashMap<&str, Range<usize>> = HashMap::new();
    let mut sums = Vec::new();
    let mut entries = archive.entries();
    while let Some(entry) = entries.next_entry().map_err(damaged)? {
        // The names in the directory and in front of the data are the same text; the latter lives as long as the file.
        let packed = archive.get_entry(entry.wayfinder()).map_err(damaged)?;
        let path = packed.local_header().file_path();
        let Ok(path) = std::str::from_utf8(path.as_bytes()) else { continue };
        if path.as_bytes() != entry.file_path().as_bytes() {
            return unreadable(format!("its entry {path} has two names; download or copy it again"));
        }
        if entry.compression_method() != CompressionMethod::STORE {
            return unreadable(format!("its entry {path} is compressed, which PyTorch never does; save it again"));
        }
        let (start, end) = packed.compressed_data_range();
        // Every file has one folder around all: `archive` or its own name.
        let name = path.split_once('/').map_or(path, |(_, name)| name);
        let range = start as usize..end as usize;
        sums.push(Sum { entry: path.to_string(), bytes: range.clone(), crc: entry.crc32() });
        if files.insert(name, range).is_some() {
            return unreadable(format!("it has two entries {name}"));
        }
        if files.len() as u64 > MAX_ENTRIES {
            return unreadable("it has far too many entries for a checkpoint");
        }
    }
    let Some(pickle) = files.get("data.pkl") else {
        return unreadable("it is a zip archive but has no data.pkl; if the model was packed, unpack it");
    };
    if files.get("byteorder").is_some_and(|order| &bytes[order.clone()] != b"little") {
        return unreadable("it was written by a big-endian machine; use the model's .safetensors version");
    }
    if pickle.len() > MAX_PICKLE {
        return unreadable("its data.pkl is far too large for a checkpoint");
    }
    if let Some(sum) = sums.iter().find(|sum| sum.bytes == *pickle && !sum.holds(bytes)) {
        return unreadable(sum.broken());
    }
    let pickle = Pickle::read(&bytes[pickle.clone()])?;
    let mut storages = Storages::new();
    for (name, place) in &files {
        if let Some(key) = name.strip_prefix("data/") {
            storages.insert(key, place.clone());
        }
    }
    sums.sort_by_key(|sum| sum.bytes.start);
    if sums.windows(2).any(|pair| pair[0].bytes.end > pair[1].bytes.start) {
        return unreadable("it is damaged: two of its entries share their bytes; download or copy it again");
    }
    Ok(Content { sums, ..locate(&pickle, &storages)? })
}

/// Five pickles (magic number, version, machine, the whole, names of the storages), then each storage with its length.
fn legacy(bytes: &[u8], locate: Locate) -> Result<Content, Refusal> {
    let mut reader = LegacyReader { bytes, at: 0 };
    let magic = reader.pickle()?;
    if !matches!(magic.root(), Node::Long(MAGIC)) {
        return unreadable("it is a pickle, but none of PyTorch");
    }
    let _version = reader.pickle()?;
    let machine = reader.pickle()?;
    if is_big_endian(&machine) {
        return unreadable("it was written by a big-endian machine; use the model's .safetensors version");
    }
    let whole = reader.pickle()?;
    let names = reader.pickle()?;
    let Node::List(names_of_storages) = names.root() else {
        return unreadable("it is damaged: it has no list of storages; download or copy it again");
    };
    let mut types: HashMap<&str, Dtype> = HashMap::new();
    for storage in whole.storages() {
        types.insert(storage.key, storage.dtype);
    }
    let mut storages = Storages::new();
    for id in names_of_storages {
        let Node::Text(name) = names.node(*id) else {
            return unreadable("it is damaged: a storage without a name");
        };
        let Some(dtype) = types.get(name) else {
            return unreadable(format!("it is damaged or has numbers of a type that is not read (storage {name})"));
        };
        let Some(place) = reader.storage(*dtype) else {
            return unreadable(format!("it is cut short in storage {name}; download or copy it again"));
        };
        storages.insert(name, place);
    }
    locate(&whole, &storages)
}

/// A file of the old format, read from front to back.
struct LegacyReader<'f> {
    bytes: &'f [u8],
    at: usize,
}

impl<'f> LegacyReader<'f> {
    /// The pickle that comes next.
    fn pickle(&mut self) -> Result<Pickle<'f>, Refusal> {
        let rest = &self.bytes[self.at..];
        let pickle = Pickle::read(&rest[..rest.len().min(MAX_PICKLE)])?;
        self.at += pickle.length;
        Ok(pickle)
    }

    /// Where the numbers of the storage are that comes next: their count in eight bytes, then as many; `None` if the file
    /// ends before.
    fn storage(&mut self, dtype: Dtype) -> Option<Range<usize>> {
        let (count, _) = self.bytes.get(self.at..)?.split_first_chunk::<8>()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let start = self.at + 8;
        let end = start.checked_add(count.checked_mul(size_of(dtype))?)?;
        if end > self.bytes.len() {
            return None;
        }
        self.at = end;
        Some(start..end)
    }
}

/// Whether the facts about the machine that wrote a file say that its numbers have their bytes in the other order.
fn is_big_endian(machine: &Pickle) -> bool {
    let Node::Dict(facts) = machine.root() else { return false };
    for (key, value) in facts {
        if let Node::Text("little_endian") = machine.node(*key)
            && let Node::Bool(false) = machine.node(*value)
        {
            return true;
        }
    }
    false
}

/// The tensors of the outermost dictionary, or of the one under `state_dict` in it, or of a textual inversion. Whatever
/// else stands beside that (counts, callbacks, an optimizer's state) is not looked at.
fn located(pickle: &Pickle, storages: &Storages) -> Result<Content, Refusal> {
    if let Some(tree) = module_tree::of(pickle)? {
        return located_in(pickle, tree, storages);
    }
    let state = WEIGHTS.iter().find_map(|key| under(pickle, key));
    let vectors = under(pickle, VECTORS);
    let inner = state.or(vectors).unwrap_or(pickle.root_id());
    let Some(items) = pickle.pairs(inner) else {
        return match pickle.node(inner) {
            Node::Inert(module, name) | Node::Module(Module { place: module, class: name, .. }) => {
                unreadable(format!("it holds an object of {module}.{name}, not a dictionary; save its state_dict"))
            }
            _ => unreadable("it holds no dictionary of tensors"),
        };
    };
    let tensors = tensors(pickle, items, storages)?;
    if state.is_some() || vectors.is_none() {
        return Ok(Content { tensors, ..Content::default() });
    }
    let mut content = Content::default();
    for (name, tensor) in tensors {
        content.tensors.insert(format!("{VECTORS}.{name}"), tensor);
    }
    for key in ABOUT_VECTORS {
        let Some(id) = under(pickle, key) else { continue };
        let value = match pickle.node(id) {
            Node::Text(text) => text.to_string(),
            Node::Int(number) => number.to_string(),
            _ => continue,
        };
        content.metadata.insert(key.to_string(), value);
    }
    Ok(content)
}

/// The tensors of a network that was saved as an object.
fn located_in(pickle: &Pickle, tree: ModuleTree, storages: &Storages) -> Result<Content, Refusal> {
    let mut content = Content::default();
    for (name, id) in tree.tensors {
        if let Node::Tensor(view) = pickle.node(id) {
            let tensor = placed(view, storages).ok_or_else(|| outside(&name, view))?;
            content.tensors.insert(name, tensor);
        }
    }
    check_sharing(&content.tensors, storages)?;
    if let Some(names) = tree.names {
        content.metadata.insert("names".to_string(), names);
    }
    Ok(content)
}

/// The value that the outermost dictionary has under `name`; of equal keys the last counts.
pub(super) fn under(pickle: &Pickle, name: &str) -> Option<Id> {
    for (key, value) in pickle.pairs(pickle.root_id())?.iter().rev() {
        if let Node::Text(text) = pickle.node(*key)
            && *text == name
        {
            return Some(*value);
        }
    }
    None
}

/// The tensors of a dictionary.
pub(super) fn tensors(
    pickle: &Pickle,
    items: &[(Id, Id)],
    storages: &Storages,
) -> Result<BTreeMap<String, StoredTensor>, Refusal> {
    let mut tensors = BTreeMap::new();
    for (key, value) in items {
        match (pickle.node(*key), pickle.node(*value)) {
            (Node::Text(name), Node::Tensor(view)) => {
                let tensor = placed(view, storages).ok_or_else(|| outside(name, view))?;
                tensors.insert(name.to_string(), tensor);
            }
            (Node::Text(key), Node::Inert(module, name) | Node::Module(Module { place: module, class: name, .. })) => {
                return unreadable(format!("{key} is an object of {module}.{name}, which is not read"));
            }
            (_, Node::Tensor(_)) => return unreadable("a tensor has a name that is no text"),
            (Node::Text(name), _) => drop(tensors.remove(*name)),
            _ => {}
        }
    }
    check_sharing(&tensors, storages)?;
    if tensors.is_empty() && HYPERNETWORK.iter().any(|key| under(pickle, key).is_some()) {
        return unreadable(
            "it is a hypernetwork of the web UI, not a model; give the checkpoint that it stands beside",
        );
    }
    if tensors.is_empty() {
        return unreadable("it has no tensors, neither at the top nor under state_dict");
    }
    Ok(tensors)
}
