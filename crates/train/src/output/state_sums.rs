//! Checksums of a state, so that a flipped bit is found: one over its numbers, which all our files have
//! (`sshs_model_hash`), and one over names, shapes and metadata.

use std::collections::BTreeMap;

use lorabake_weights::formats::tensor_file::TensorFile;
use safetensors::Dtype;
use sha2::{Digest, Sha256};

/// The key of the checksum over names, shapes and metadata.
pub(super) const HEADER_SUM: &str = "lorabake_header_sha256";
/// The key of the checksum over the numbers.
const NUMBERS_SUM: &str = "sshs_model_hash";

/// Name, type and count of a tensor.
pub(super) struct Entry {
    pub name: String,
    pub dtype: Dtype,
    pub count: usize,
}

/// The checksum over names, shapes and metadata, in hex.
pub(super) fn of_header(mut entries: Vec<Entry>, metadata: &BTreeMap<String, String>) -> String {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut sum = Sha256::new();
    for Entry { name, dtype, count } in entries {
        sum.update(format!("{name}\0{dtype:?}\0{count}\0"));
    }
    for (key, value) in metadata {
        if key != HEADER_SUM && !key.starts_with("sshs_") {
            sum.update(format!("{key}\0{value}\0"));
        }
    }
    format!("{:x}", sum.finalize())
}

/// Whether the checksums of a file hold; earlier versions wrote only that of the numbers.
pub(super) fn hold(file: &TensorFile) -> bool {
    let mut entries = Vec::new();
    let mut sum = Sha256::new();
    for name in file.names() {
        sum.update(file.bytes(&name).unwrap_or_default());
        let dtype = file.dtype(&name).unwrap_or(Dtype::F32);
        let count = file.shape(&name).unwrap_or_default().iter().product();
        entries.push(Entry { name, dtype, count });
    }
    let metadata = file.metadata();
    let holds = |key: &str, found: String| metadata.get(key).is_none_or(|told| *told == found);
    holds(NUMBERS_SUM, format!("{:x}", sum.finalize())) && holds(HEADER_SUM, of_header(entries, metadata))
}
